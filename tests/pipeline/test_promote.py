"""What the gate does with a second model: it is refused, fetched again, promoted and rolled back."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from iris_nb.audit.log import AuditLog
from iris_nb.bundle import champion
from iris_nb.predict.predictor import load_champion
from iris_nb.table import SCHEMA
from iris_nb.train.gate import from_json
from iris_nb.train.tracking import aliased_version, run_of_version
from tests.compare.test_commands import log_rows
from tests.training import call

# MLflow 3.17 asks SQLAlchemy 2.1 for a way of loading that it deprecates.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning"),
]


def write_facts(bundle: Path, facts: bytes) -> None:
    "Replace what was measured of a bundle's model."
    sums, before = bundle / "SHA256SUMS", (bundle / "facts.json").read_bytes()
    (bundle / "facts.json").write_bytes(facts)
    sums.write_text(sums.read_text().replace(*(hashlib.sha256(data).hexdigest() for data in (before, facts))))


@pytest.fixture(scope="module")
def refused(home, best):
    "The same training again, after the champion did better in every fold: the gate does not let it through."
    bundle = champion(home / "bundles")
    facts = from_json((bundle / "facts.json").read_bytes())
    better = {**vars(facts), "log_losses": [loss - 0.5 for loss in facts.log_losses]}
    write_facts(bundle, json.dumps(better).encode())
    done = call(home, "train", "--quick", "-p", "candidates", best)
    assert done.returncode == 3, done.stdout
    return done


def test_the_gate_refuses_a_worse_model_and_everything_stays_as_it_was(home, tracker, refused, best):
    assert "The gate refuses." in refused.stdout
    assert "worse beyond noise on the same folds" in refused.stdout
    assert aliased_version(tracker, "champion") == "1"
    assert aliased_version(tracker, "challenger") == "2"
    assert champion(home / "bundles").name == f"{SCHEMA.name}_{best}-1"
    assert (home / "bundles" / f"{SCHEMA.name}_{best}-2").is_dir()


def test_a_refused_model_is_refused_again_when_it_is_to_be_promoted(home, tracker, refused):
    done = call(home, "promote", "challenger")
    assert done.returncode == 3
    assert "The gate refuses." in done.stdout
    assert aliased_version(tracker, "champion") == "1"


def test_a_version_is_fetched_from_the_registry_promoted_and_rolled_back(home, tracker, refused, best):
    bundles = home / "bundles"
    lax = from_json((champion(bundles) / "facts.json").read_bytes())
    tracker.client.log_text(run_of_version(tracker, "2"), json.dumps({**vars(lax), "name": "as good"}), "facts.json")
    shutil.rmtree(bundles / f"{SCHEMA.name}_{best}-2")
    done = call(home, "promote", "2")
    assert done.returncode == 0, done.stderr + done.stdout
    assert champion(bundles).name == f"{SCHEMA.name}_{best}-2"
    assert aliased_version(tracker, "champion") == "2"
    assert aliased_version(tracker, "challenger") == ""
    back = call(home, "rollback")
    assert back.returncode == 0, back.stderr
    assert champion(bundles).name == f"{SCHEMA.name}_{best}-1"
    assert aliased_version(tracker, "champion") == "1"
    assert call(home, "rollback").returncode == 1


def test_the_list_of_runs_tells_what_happened(home, refused, best):
    said = call(home, "runs").stdout
    assert "FINISHED" in said
    assert best in said
    assert "version 1" in said


def test_a_verdict_on_logged_rows_is_a_sentence_of_the_gate_and_can_be_required(home, tracker, refused):
    ids = log_rows(home, load_champion(home / "bundles"))
    with AuditLog.open(home / "audit.db") as log:
        log.label(ids[0], SCHEMA.classes[0])
    done = call(home, "promote", "2", "--replay", "24h", "--require", "better", "--require", "equivalent")
    assert done.returncode == 3, done.stderr + done.stdout
    assert "difference of the Brier score" in done.stdout
    assert "On logged rows, better or equivalent is required." in done.stdout
    assert aliased_version(tracker, "champion") == "1"


def test_a_required_verdict_without_a_comparison_refuses(home, tracker, refused):
    done = call(home, "promote", "2", "--require", "better")
    assert done.returncode == 3, done.stderr + done.stdout
    assert "It was not compared with the champion on logged rows" in done.stdout
    assert call(home, "promote", "2", "--replay", "soon").returncode == 2
