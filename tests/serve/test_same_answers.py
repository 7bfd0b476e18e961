"""The same rows, asked everywhere: the notebook that trained, the library, the service, MLflow."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from litestar.testing import TestClient

from iris_nb.bundle import champion
from iris_nb.predict.predictor import Predictor
from iris_nb.table import SCHEMA
from serve.app import create_app
from serve.settings import Settings

#: A program of its own: MLflow warns of things in MLflow.
PYFUNC = """
import json, sys, mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
print(model.predict(pandas.DataFrame(json.loads(sys.argv[3]))).to_json(orient="records", double_precision=15))
"""


@pytest.mark.slow
def test_a_trained_model_gives_the_same_answers_everywhere(trained_home, tmp_path):
    shutil.copytree(trained_home / "bundles", tmp_path / "bundles")
    library = Predictor.load(champion(tmp_path / "bundles"))
    X, from_notebook = library.bundle.golden
    rows = [dict(zip(SCHEMA.names, row, strict=True)) for row in X.tolist()]
    answers = {"notebook": from_notebook, "library": library.probabilities(X)}
    with TestClient(create_app(Settings(home=tmp_path, log_level="warning"))) as client:
        answers["/predict"] = [client.post("/predict", json=row).json()["probabilities"][0] for row in rows]
        answers["/predict/batch"] = client.post("/predict/batch", json={"samples": rows}).json()["probabilities"]
    words = [f"sqlite:///{trained_home}/mlflow.db", f"models:/{SCHEMA.name}@champion", json.dumps(rows)]
    told = subprocess.run([sys.executable, "-c", PYFUNC, *words], capture_output=True, text=True, check=True)
    answers["mlflow"] = [[found[c] for c in SCHEMA.classes] for found in json.loads(told.stdout.splitlines()[-1])]

    for where, found in answers.items():
        P = np.asarray(found)
        assert np.abs(P - from_notebook).max() < 1e-6, where
        assert (P.argmax(axis=1) == from_notebook.argmax(axis=1)).all(), where
