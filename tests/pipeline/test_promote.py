"""What the gate does with a second model: it is refused, fetched again, promoted and rolled back."""

import json
import shutil

import pytest

from iris_nb.bundle import champion
from iris_nb.table import SCHEMA
from iris_nb.train.gate import from_json
from iris_nb.train.tracking import aliased_version, connect, load_artifact, run_of_version
from tests.training import call

# MLflow 3.17 asks SQLAlchemy 2.1 for a way of loading that it deprecates.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning"),
]


@pytest.fixture(scope="module")
def worse(home):
    "The candidate that did worst in the first training: which one it is depends on the table."
    store = connect(home)
    parent = run_of_version(store, "1")
    tried = store.client.search_runs([store.experiment], f"tags.`mlflow.parentRunId` = '{parent}'")
    return max(tried, key=lambda run: run.data.metrics["log_loss"]).data.params["candidate"]


@pytest.fixture(scope="module")
def refused(home, worse):
    "A second training, of a worse model, which the gate does not let through."
    done = call(home, "train", "--quick", "-p", "candidates", worse)
    assert done.returncode == 3, done.stderr
    return done


def test_the_gate_refuses_a_worse_model_and_everything_stays_as_it_was(home, tracker, refused, best, worse):
    assert "The gate refuses." in refused.stdout
    assert "worse beyond noise on the same folds" in refused.stdout
    assert aliased_version(tracker, "champion") == "1"
    assert aliased_version(tracker, "challenger") == "2"
    assert champion(home / "bundles").name == f"{SCHEMA.name}_{best}-1"
    assert (home / "bundles" / f"{SCHEMA.name}_{worse}-2").is_dir()


def test_a_refused_model_is_refused_again_when_it_is_to_be_promoted(home, tracker, refused):
    done = call(home, "promote", "challenger")
    assert done.returncode == 3
    assert "The gate refuses." in done.stdout
    assert aliased_version(tracker, "champion") == "1"


def test_a_version_is_fetched_from_the_registry_promoted_and_rolled_back(home, tracker, refused, best, worse):
    bundles = home / "bundles"
    lax = from_json(load_artifact(tracker, run_of_version(tracker, "1"), "facts.json"))
    tracker.client.log_text(run_of_version(tracker, "2"), json.dumps({**vars(lax), "name": "as good"}), "facts.json")
    shutil.rmtree(bundles / f"{SCHEMA.name}_{worse}-2")
    done = call(home, "promote", "2")
    assert done.returncode == 0, done.stderr + done.stdout
    assert champion(bundles).name == f"{SCHEMA.name}_{worse}-2"
    assert aliased_version(tracker, "champion") == "2"
    assert aliased_version(tracker, "challenger") == ""
    back = call(home, "rollback")
    assert back.returncode == 0, back.stderr
    assert champion(bundles).name == f"{SCHEMA.name}_{best}-1"
    assert aliased_version(tracker, "champion") == "1"
    assert call(home, "rollback").returncode == 1


def test_the_list_of_runs_tells_what_happened(home, refused, worse):
    said = call(home, "runs").stdout
    assert "FINISHED" in said
    assert worse in said
    assert "version 1" in said
