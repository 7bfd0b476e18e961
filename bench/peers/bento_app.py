"""BentoML with the same model."""

import os

import bentoml
import joblib
import numpy as np

CLASSES = os.environ["CLASSES"].split(",")


@bentoml.service(workers=1)
class Classifier:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(route="/predict")
    def predict(self, row: list[float]) -> dict:
        (chances,) = self.model.predict_proba(np.array([row]))
        return {"predictions": [CLASSES[int(chances.argmax())]], "probabilities": [chances.tolist()]}
