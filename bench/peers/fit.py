"""Fit the model that every peer serves, and keep it the way each of them wants it. Run by bench/peers.py."""

import sys
from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

folder, names = Path(sys.argv[1]), sys.argv[2].split(",")
data = load_iris(as_frame=True)
features = data.data.set_axis(names, axis="columns")
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(features.to_numpy(), data.target)
joblib.dump(model, folder / "model.joblib")

if len(sys.argv) > 3:
    import mlflow.sklearn
    from mlflow.models import infer_signature

    signature = infer_signature(features, model.predict_proba(features.to_numpy()))
    mlflow.sklearn.save_model(
        model,
        folder / "mlflow_model",
        signature=signature,
        pyfunc_predict_fn="predict_proba",
        serialization_format="skops",
    )
