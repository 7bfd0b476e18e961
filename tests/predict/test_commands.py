"""`iris-nb score` and `iris-nb bundle`, as a person types them."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from iris_nb.bundle import champion, read_bundle, write_bundle
from iris_nb.cli import cli
from iris_nb.predict.commands import _describe
from iris_nb.table import SCHEMA


def run(*words: str):
    return CliRunner().invoke(cli, list(words))


def test_a_bundle_without_calibration_scores_promises_no_sets(champion_home, tmp_path):
    whole = read_bundle(champion(champion_home / "bundles"))
    assert "in a set" in dict(_describe(whole))
    folder = write_bundle(tmp_path / "other", whole.card, whole.onnx, whole.golden, whole.reference)
    assert "in a set" not in dict(_describe(read_bundle(folder)))


def test_a_file_without_faults_leaves_none_aside(champion_home, tmp_path):
    rows = [",".join(SCHEMA.names), ",".join(str(SCHEMA.example[name]) for name in SCHEMA.names)]
    (tmp_path / "in.csv").write_text("\n".join(rows) + "\n")
    done = run("score", str(tmp_path / "in.csv"), "-o", str(tmp_path / "out.csv"), "--quiet")
    assert done.exit_code == 0, done.output
    assert "1 rows answered" in done.output
    assert "aside" not in done.output


@pytest.mark.parametrize(
    ("table", "target", "said"),
    [
        (",".join([*SCHEMA.names, "id", "id"]).encode() + b"\n", "out.csv", "more than one column 'id'"),
        ("caf\xe9\n".encode("latin-1"), "out.csv", "has the columns café"),
        (",".join(SCHEMA.names).encode(), "nowhere/out.csv", "no folder"),
        (",".join(SCHEMA.names).encode(), "folder.csv", "a folder itself"),
    ],
    ids=["a name twice", "other columns, in Latin-1", "no folder", "a folder"],
)
def test_what_can_not_be_scored_is_said_before_the_first_row(champion_home, table, target, said):
    (champion_home / "folder.csv").mkdir()
    (champion_home / "in.csv").write_bytes(table)
    done = run("score", str(champion_home / "in.csv"), "-o", str(champion_home / target), "--quiet")
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert said in done.output


def test_a_bundle_can_be_verified_where_only_the_service_is_installed():
    code = "import sys, iris_nb.predict.commands; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(loaded.stdout.split()) & {"pyarrow", "tqdm", "pandas", "sklearn", "mlflow"}
