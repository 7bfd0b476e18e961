"""Where runs are kept: in a database of one's own, or wherever `MLFLOW_TRACKING_URI` says."""

import os
import signal
import subprocess
import sys

import mlflow
import pytest

from iris_nb.run.programs import Program, report_ready
from iris_nb.table import SCHEMA
from iris_nb.train.tracking import connect, finish_run, load_artifact, runs, save_artifact, start_run
from tests.running import free_port

# MLflow 3.17 asks SQLAlchemy 2.1 for a way of loading that it deprecates.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning"),
]


@pytest.fixture(autouse=True)
def as_it_was():
    "MLflow remembers an address in the process and in its environment."
    before = os.environ.get("MLFLOW_TRACKING_URI")
    yield
    mlflow.set_tracking_uri(before)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    if before:
        os.environ["MLFLOW_TRACKING_URI"] = before


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    "The address of MLflow's pages, with a home of their own."
    home = tmp_path_factory.mktemp("server")
    port = free_port()
    environ = {**os.environ, "IRIS_HOME": str(home), "IRIS_MLFLOW_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-m", "iris_nb.run.mlflow_pages"], env=environ)
    program = Program("mlflow", "MLflow", "IRIS_MLFLOW_PORT", port)
    assert report_ready([program])
    yield program.url
    process.terminate()
    assert process.wait(timeout=30) == -signal.SIGTERM


def test_a_tracking_server_keeps_runs_and_files_instead_of_the_home(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    tracker = connect(tmp_path)
    run_id = start_run(tracker, "train", {"notebook": "20_train.ipynb"})
    save_artifact(tracker, run_id, "evidence/note.txt", b"seen from afar")
    finish_run(tracker, run_id)
    assert not list(tmp_path.iterdir()), "nothing is kept here"
    assert [(run.name, run.status) for run in runs(connect(tmp_path))] == [("train", "FINISHED")]
    assert load_artifact(tracker, run_id, "evidence/note.txt") == b"seen from afar"
    assert tracker.client.get_run(run_id).info.artifact_uri.startswith("mlflow-artifacts:/")


def test_without_an_address_every_home_has_a_database_of_its_own(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    one, other = connect(tmp_path / "one"), connect(tmp_path / "other")
    finish_run(one, start_run(one, "train", {}))
    assert (len(runs(one)), len(runs(other))) == (1, 0)
    assert one.model == SCHEMA.name
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_the_artifacts_of_a_home_that_was_moved_are_found_and_new_ones_go_to_its_new_place(tmp_path):
    tracker = connect(tmp_path / "old")
    first = start_run(tracker, "before", {})
    save_artifact(tracker, first, "note.txt", b"before")
    (tmp_path / "old").rename(tmp_path / "new")
    tracker = connect(tmp_path / "new")
    assert load_artifact(tracker, first, "note.txt") == b"before"
    second = start_run(tracker, "after", {})
    save_artifact(tracker, second, "note.txt", b"after")
    assert load_artifact(tracker, second, "note.txt") == b"after"
    assert not (tmp_path / "old").exists()
