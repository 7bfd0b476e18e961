"""`iris-nb train`, `runs`, `promote` and `rollback`, as a person types them; whole trainings are in tests/pipeline."""

import os
import subprocess

from iris_nb.table import SCHEMA, load_rows
from tests.training import PROGRAM, call


def test_the_tracking_server_that_was_named_is_the_one_that_is_used(tmp_path):
    named = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'elsewhere.db'}", "IRIS_HOME": str(tmp_path / "home")}
    done = subprocess.run([PROGRAM, "runs"], env={**os.environ, **named}, capture_output=True, text=True)
    assert "No runs yet" in done.stdout, done.stderr
    assert (tmp_path / "elsewhere.db").is_file()
    assert not (tmp_path / "home" / "mlflow.db").exists()


def test_what_would_end_a_training_is_reported_before_anything_is_written(tmp_path):
    table = load_rows().drop(columns=SCHEMA.names[0])
    table.to_csv(tmp_path / "table.csv", index=False)
    home = tmp_path / "home"
    asked = ["data", str(tmp_path / "table.csv")], ["candidates", "lda oracle"], ["splits", "1"]
    done = call(home, "train", *(word for pair in asked for word in ("-p", *pair)))
    assert done.returncode == 1
    assert f"add {SCHEMA.names[0]}" in done.stderr
    assert "There is no candidate 'oracle'" in done.stderr
    assert "splits must be at least 2, got 1" in done.stderr
    assert not home.exists()


def test_every_fault_of_a_table_is_reported_before_anything_is_written(tmp_path):
    table = load_rows().reset_index(drop=True).astype(object)
    complete = next(f.name for f in SCHEMA.features if not f.missing)
    table.loc[0, complete] = None
    table.loc[1, SCHEMA.target] = "oak"
    table.to_csv(tmp_path / "table.csv", index=False)
    done = call(tmp_path / "home", "train", "-p", "data", str(tmp_path / "table.csv"))
    assert done.returncode == 1
    assert f"{complete} has no value in line 2." in done.stderr
    assert f"{SCHEMA.target} is not one of" in done.stderr
    assert not (tmp_path / "home").exists()
