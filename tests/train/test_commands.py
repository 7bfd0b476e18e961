"""`iris-nb train`, `runs`, `promote` and `rollback`, as a person types them; whole trainings are in tests/pipeline."""

import os
import subprocess

from tests.training import PROGRAM


def test_the_tracking_server_that_was_named_is_the_one_that_is_used(tmp_path):
    named = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'elsewhere.db'}", "IRIS_HOME": str(tmp_path / "home")}
    done = subprocess.run([PROGRAM, "runs"], env={**os.environ, **named}, capture_output=True, text=True)
    assert "No runs yet" in done.stdout, done.stderr
    assert (tmp_path / "elsewhere.db").is_file()
    assert not (tmp_path / "home" / "mlflow.db").exists()
