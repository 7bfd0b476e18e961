"""A home folder that the first version wrote: what a later version must still read, answer and carry on.

The archive holds the three champions of three quick trainings, MLflow's store of them without notebooks and figures,
and an audit log of 78 rows: 40 were pruned, 17 have a true class, one of which was corrected. `exported.csv` is what
the first version's own `iris-nb audit export` wrote of it. MLflow stores absolute paths; those in the archive begin
with /old/home.
"""

import csv
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from litestar.testing import TestClient

from iris_nb.examples import IRIS
from iris_nb.table import SCHEMA
from serve.app import create_app
from serve.settings import Settings
from tests.training import PROGRAM, relocate

pytestmark = pytest.mark.skipif(SCHEMA.names != IRIS.names, reason="The home in the archive is one of irises.")
ARCHIVE = Path(__file__).parent / "fixtures" / "first_home.tar.xz"
HEAD = "78:126b0477eaa5df350580165d05cff548b228bcd3aae36e9214058306731a7c61"
CORRECTED = "01a211c8-e379-7406-b1b3-6f926e100000"  # its true class was noted as versicolor, then as setosa


@pytest.fixture
def old_home(tmp_path: Path) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        # The first releases of 3.11 know no filters.
        archive.extractall(tmp_path, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    home = tmp_path / "home"
    relocate(home / "mlflow.db", "/old/home", str(home))
    return home


def ask(home: Path, *words: str, command: Sequence[str | Path] = (PROGRAM,), fails: bool = False) -> str:
    "What `iris-nb` prints about a home."
    environ = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    environ["IRIS_HOME"] = str(home)
    done = subprocess.run([*command, *words], env=environ, capture_output=True, text=True)
    assert (done.returncode == 0) is not fails, done.stdout + done.stderr
    return done.stdout + done.stderr


#: Several commands in one process, since MLflow takes seconds to import.
SEVERAL = "import sys; from iris_nb.cli import cli; [cli([verb], standalone_mode=False) for verb in sys.argv[1:]]"


def read(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_every_row_and_label_of_an_old_log_is_exported_as_it_was(old_home, tmp_path):
    ask(old_home, "audit", "export", str(tmp_path / "now.csv"))
    before, now = read(old_home / "exported.csv"), read(tmp_path / "now.csv")
    assert len(before) == 38
    assert sum(row["true_label"] != "" for row in before) == 17
    assert [{name: row[name] for name in before[0]} for row in now] == before
    assert {row["id"]: row["true_label"] for row in now}[CORRECTED] == "setosa"


def test_an_old_log_is_sound_to_the_head_that_was_noted_then(old_home):
    said = ask(old_home, "audit", "verify", "--witness", HEAD)
    assert "38 rows" in said
    assert "40 before them were pruned" in said


def test_a_changed_row_of_an_old_log_is_still_found(old_home):
    with sqlite3.connect(old_home / "audit.db") as connection:
        connection.execute("UPDATE rows SET label = 'setosa' WHERE seq = 42")
    connection.close()
    assert "42" in ask(old_home, "audit", "verify", fails=True)


def test_a_service_goes_on_with_an_old_champion_and_an_old_log(old_home):
    before = read(old_home / "exported.csv")
    with TestClient(create_app(Settings(home=old_home, log_level="warning"))) as client:
        assert client.get("/model/info").json()["version"] == "3"
        assert client.get(f"/predictions/{CORRECTED}").json()["true_label"] == "setosa"
        row = {name: float(before[-1][name]) for name in SCHEMA.names}
        answer = client.post("/predict", json=row).json()
        assert answer["predictions"] == [before[-1]["label"]]
        assert answer["probabilities"][0] == pytest.approx(json.loads(before[-1]["probabilities"]))
        label = client.post(f"/predictions/{answer['prediction_ids'][0]}/label", json={"label": "virginica"})
        assert label.status_code == 200, label.text
        assert len(client.get("/predictions/history", params={"limit": 1000}).json()["predictions"]) == 39
    assert "39 rows" in ask(old_home, "audit", "verify", "--witness", HEAD)


@pytest.mark.parametrize("bundle", ["iris_lda-1", "iris_qda-2", "iris_lda-3"])
def test_an_old_bundle_answers_its_golden_rows(old_home, bundle):
    assert "golden rows get their answers" in ask(old_home, "bundle", "verify", bundle)


@pytest.mark.slow
def test_an_old_registry_still_rolls_back_and_promotes(old_home):
    champion = old_home / "bundles" / "champion.json"
    said = ask(old_home, "runs", "rollback", command=(sys.executable, "-c", SEVERAL))
    assert all(f"version {version}" in said for version in (1, 2, 3))
    assert "iris_qda-2 is the champion again" in said
    assert "points at version 2" in said
    assert "iris_qda-2" in champion.read_text()
    assert "The gate agrees" in ask(old_home, "promote", "3")
    assert '"bundle":"iris_lda-3"' in champion.read_text()
