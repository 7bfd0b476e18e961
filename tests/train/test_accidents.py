"""Accidents of a tracking store: each is healed, or is one sentence before any work."""

import http.server
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from iris_nb.bundle import BundleError, read_bundle
from iris_nb.examples import IRIS
from iris_nb.train.mlflow_store import MissingError, TrackingError
from iris_nb.train.tracking import (
    connect,
    fetch_bundle,
    finish_run,
    load_artifact,
    log_facts,
    run_of_version,
    run_tags,
    runs,
    save_artifact,
    start_run,
    version_of_run,
)

# MLflow 3.17 asks SQLAlchemy 2.1 for a way of loading that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    "A home with a store and one run; not to be changed."
    home = tmp_path_factory.mktemp("made")
    tracker = connect(home, IRIS.name)
    finish_run(tracker, start_run(tracker, "train", {}))
    return home


@pytest.fixture
def home(made, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Path(shutil.copytree(made, tmp_path / "home"))


def test_an_experiment_that_was_deleted_is_restored_with_its_runs(home):
    tracker = connect(home, IRIS.name)
    tracker.client.delete_experiment(tracker.experiment)
    again = connect(home, IRIS.name)
    finish_run(again, start_run(again, "train", {}))
    assert again.experiment == tracker.experiment
    assert len(runs(again)) == 2


def test_a_run_that_was_deleted_is_a_sentence(home):
    tracker = connect(home, IRIS.name)
    run_id = start_run(tracker, "train", {})
    tracker.client.delete_run(run_id)
    with pytest.raises(TrackingError, match="The run was deleted in MLflow. Restore it"):
        log_facts(tracker, run_id, {"candidate": "lda"})


def test_what_is_not_there_is_a_sentence(home):
    tracker = connect(home, IRIS.name)
    (run,) = runs(tracker)
    with pytest.raises(MissingError, match=r"has no file facts\.json"):
        load_artifact(tracker, run.run_id, "facts.json")
    with pytest.raises(MissingError, match="has no version 7 of iris"):
        run_of_version(tracker, "7")
    with pytest.raises(TrackingError, match="0{32}"):
        run_tags(tracker, "0" * 32)
    assert version_of_run(tracker, run.run_id) == ""


def test_a_store_that_is_no_database_is_a_sentence(home):
    (home / "mlflow.db").write_bytes(b"no database " * 100)
    with pytest.raises(TrackingError, match="is not a database. Move it away"):
        connect(home, IRIS.name)


def test_two_that_begin_at_once_in_an_empty_home_both_get_their_run(tmp_path):
    code = """
import sys
from pathlib import Path
from iris_nb.train.tracking import connect, finish_run, start_run
sys.stdin.readline()
tracker = connect(Path(sys.argv[1]), "iris")
finish_run(tracker, start_run(tracker, "train", {}))
"""
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code, tmp_path], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in started:
        process.stdin.write(b"\n")
        process.stdin.flush()
    said = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    assert len(runs(connect(tmp_path, "iris"))) == 2


@pytest.fixture
def server():
    "Start a server that gives the same answer to everything."
    running = []

    def start(status: int, content: bytes) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=found.serve_forever).start()
        running.append(found)
        return f"http://127.0.0.1:{found.server_address[1]}"

    yield start
    for found in running:
        found.shutdown()
        found.server_close()


@pytest.mark.parametrize(
    ("status", "content", "expected"),
    [
        (200, b"<html>Please log in.</html>", "a login page"),
        (401, b"who?", "MLFLOW_TRACKING_TOKEN"),
        (403, b"no", "does not allow this"),
        (404, b"nothing", "is not MLflow"),
        (503, b"busy", "answers with errors"),
    ],
)
def test_a_server_that_is_not_mlflow_is_a_sentence(server, tmp_path, monkeypatch, status, content, expected):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server(status, content))
    with pytest.raises(TrackingError, match=expected):
        connect(tmp_path, IRIS.name)


def test_a_server_that_is_not_there_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TrackingError, match=r"http://127\.0\.0\.1:9 does not answer"):
        connect(tmp_path, IRIS.name)


@pytest.fixture
def registered(home):
    "Registers a version whose run has a folder, as if it were its bundle; gives the tracker and the number."

    def register(bundle: Path, path: str = ""):
        tracker = connect(home, IRIS.name)
        run_id = start_run(tracker, "train", {})
        save_artifact(tracker, run_id, path or f"bundle/{bundle.name}", bundle)
        if not tracker.client.search_registered_models():
            tracker.client.create_registered_model(tracker.model)
        return tracker, tracker.client.create_model_version(tracker.model, "none", run_id).version

    return register


def test_a_version_whose_bundle_has_no_checksums_is_a_sentence(registered, home, make_bundle, tmp_path):
    made = make_bundle(tmp_path / "made")
    (made / "SHA256SUMS").unlink()
    with pytest.raises(BundleError, match="has no file SHA256SUMS"):
        fetch_bundle(*registered(made), home / "bundles")


def test_a_version_whose_files_lie_elsewhere_is_a_sentence(registered, home, make_bundle, tmp_path):
    with pytest.raises(TrackingError, match="should hold one folder, but holds SHA256SUMS, card.json"):
        fetch_bundle(*registered(make_bundle(tmp_path / "made"), "bundle"), home / "bundles")


@pytest.mark.parametrize("damage", ["SHA256SUMS", "model.onnx", "all"])
def test_a_damaged_bundle_is_left_alone_and_a_whole_one_is_fetched_beside_it(
    registered, home, make_bundle, tmp_path, damage
):
    asked = registered(make_bundle(tmp_path / "made"))
    first = fetch_bundle(*asked, home / "bundles")
    for file in first.iterdir() if damage == "all" else [first / damage]:
        file.unlink()
    left = sorted(first.iterdir())
    second = fetch_bundle(*asked, home / "bundles")
    assert second != first
    assert read_bundle(second).card == read_bundle(tmp_path / "made" / first.name).card
    assert sorted(first.iterdir()) == left
    assert fetch_bundle(*asked, home / "bundles") == second
