"""The pipeline from the table to the champion, on a small setting, as the command line runs it."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest

from iris_nb.bundle import champion, read_bundle
from iris_nb.predict.predictor import Predictor
from iris_nb.table import SCHEMA
from iris_nb.train.candidates import candidate
from iris_nb.train.data import arrays, data_hash, load
from iris_nb.train.tracking import aliased_version, connect, load_artifact, run_of_version, run_tags, runs
from tests.serve.load import LONG
from tests.training import call

# MLflow 3.17 asks SQLAlchemy 2.1 for a way of loading that it deprecates.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning"),
]


@pytest.fixture
def first(tracker):
    "The run of the first training."
    return run_of_version(tracker, "1")


def test_training_shows_a_bar_and_ends_with_the_verdict(training):
    _, trained = training
    assert "100%" in trained.stderr
    assert "The gate agrees." in trained.stdout
    assert "There is no champion to compare it with." in trained.stdout
    assert "Traceback" not in trained.stderr


def test_the_best_model_is_the_champion_in_the_registry_and_in_the_bundles_folder(home, tracker, first, best):
    folder = champion(home / "bundles")
    assert folder.name == f"{SCHEMA.name}_{best}-1"
    assert aliased_version(tracker, "champion") == read_bundle(folder).card.version == "1"
    assert read_bundle(folder).card.run_id == first


def test_the_bundle_says_where_it_comes_from(home, first, best):
    bundle = read_bundle(champion(home / "bundles"))
    card = bundle.card
    assert card.data_hash == data_hash(load())
    assert card.parameters["candidate"] == best
    assert {"python", "scikit-learn", "onnx", "onnxruntime"} <= set(card.versions)
    assert {"accuracy", "log_loss", "brier", "macro_f1", "calibration_error"} <= set(card.metrics)
    assert len(bundle.reference[0]) == len(bundle.scores) == len(load())
    assert len(bundle.golden[0]) >= 50


def test_the_predictor_answers_from_it(home, first):
    predictor = Predictor.load(champion(home / "bundles"))
    X, y = arrays(load())
    assert (predictor.probabilities(X).argmax(axis=1) == y).mean() > predictor.bundle.card.metrics["accuracy"] - 0.02


def test_the_run_has_all_that_its_users_look_for(tracker, first, best):
    run = tracker.client.get_run(first)
    assert run.info.status == "FINISHED"
    assert {"candidate", "splits", "repeats", "random_state", "rows", "data"} <= set(run.data.params)
    assert {"accuracy", "log_loss", "brier", "macro_f1", "calibration_error", "row_ms"} <= set(run.data.metrics)
    tags = run_tags(tracker, first)
    assert tags["data_hash"] == data_hash(load())
    assert tags["notebook"] == "20_train.ipynb"
    assert tags["random_state"] == "42"
    assert tags["alias"] == "champion"
    assert len(tags["git_commit"].rstrip("+")) == 40 or tags["git_commit"] == "unknown"
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.name == SCHEMA.name
    assert candidate(best).title.casefold() in run.data.tags["mlflow.note.content"].casefold()


def test_every_candidate_has_a_run_of_its_own(tracker, first):
    found = tracker.client.search_runs([tracker.experiment], f"tags.`mlflow.parentRunId` = '{first}'")
    assert {run.data.params["candidate"] for run in found} == {"logistic_regression", "lda", "qda_shrunk"}
    assert all({"accuracy", "log_loss", "log_loss_low", "p"} <= set(run.data.metrics) for run in found)
    assert {run.info.status for run in found} == {"FINISHED"}


def test_the_evidence_is_one_page_that_asks_the_network_for_nothing(tracker, first):
    page = load_artifact(tracker, first, "evidence.html").decode()
    assert page.count("<h2>") == 5
    assert "<link" not in page
    assert "<script src" not in page


def test_the_executed_notebook_is_kept_twice(home, tracker, first):
    (path,) = [p for p in (home / "runs").glob("*-train.ipynb") if first in p.read_text()]
    assert load_artifact(tracker, first, f"notebook/{path.name}") == path.read_bytes()
    cells = nbformat.read(path, 4).cells
    assert not [o for c in cells for o in c.get("outputs", []) if o.output_type == "error"]
    assert "cross-validating: 100%" in path.read_text()


ASK = """
import sys, mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
assert model.metadata.saved_input_example_info
rows = pandas.read_csv(sys.argv[3])[model.metadata.signature.inputs.input_names()]
model.predict(rows).to_csv(sys.argv[4], index=False)
"""


def test_the_registered_model_is_asked_with_a_frame_and_answers_with_names(home, first, tmp_path):
    "As somebody does it who has MLflow and not this project."
    X, _ = arrays(load())
    pd.DataFrame(X, columns=SCHEMA.names).to_csv(tmp_path / "rows.csv", index=False)
    words = [
        f"sqlite:///{home}/mlflow.db",
        f"models:/{SCHEMA.name}@champion",
        tmp_path / "rows.csv",
        tmp_path / "out.csv",
    ]
    subprocess.run([sys.executable, "-c", ASK, *words], cwd=tmp_path, check=True, capture_output=True)
    answers = pd.read_csv(tmp_path / "out.csv")
    assert tuple(answers.columns) == SCHEMA.classes
    expected = Predictor.load(champion(home / "bundles")).probabilities(X)
    assert np.allclose(answers, expected, atol=1e-12)


def test_there_is_nothing_to_do_where_there_is_a_champion(home, best):
    again = call(home, "train", "--unless-champion")
    assert again.returncode == 0
    assert again.stdout == f"{SCHEMA.name}_{best}-1 is the champion; nothing to do.\n"


def test_a_faulty_table_is_refused_with_its_rows_and_nothing_is_registered(home, tracker, tmp_path):
    table, feature = load().astype(object), SCHEMA.features[0]
    table.iloc[7, table.columns.get_loc(feature.name)] = "oak"
    table.to_csv(tmp_path / "table.csv", index=False)
    before = [run.version for run in runs(tracker)]
    done = call(home, "train", "--quick", "-p", "data", str(tmp_path / "table.csv"))
    assert done.returncode == 1
    assert all(words in done.stderr for words in ("line 9", feature.name, feature.expected, '"oak"')), done.stderr
    assert "Traceback" not in done.stderr
    assert [run.version for run in runs(tracker)] == before


def test_a_misspelt_parameter_starts_nothing(home, tracker):
    before = len(runs(tracker))
    done = call(home, "train", "-p", "repaets", "2")
    assert done.returncode == 1
    assert "repeats = 10" in done.stderr
    assert len(runs(tracker)) == before


@pytest.mark.long
@pytest.mark.skipif(not LONG, reason="takes half a minute: make test-long")
def test_first_trainings_that_begin_at_once_in_an_empty_home_all_come_to_a_good_end(tmp_path):
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: call(tmp_path / "home", "train", "--quick"), range(3)))
    assert [process.returncode for process in done] == [0, 0, 0], [process.stderr[-500:] for process in done]
    tracker = connect(tmp_path / "home")
    assert sorted((run.status, run.version) for run in runs(tracker)) == [("FINISHED", n) for n in "123"]
    reigning = read_bundle(champion(tmp_path / "home" / "bundles")).card
    assert run_of_version(tracker, aliased_version(tracker, "champion")) == reigning.run_id
    assert len(list((tmp_path / "home" / "bundles").glob("*/card.json"))) == 3


def test_no_process_is_left_behind(trained_home):
    left = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and f"IRIS_HOME={trained_home}".encode() in (entry / "environ").read_bytes():
                left.append((entry / "cmdline").read_bytes())
        except OSError:
            continue
    assert not left
