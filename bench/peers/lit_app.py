"""LitServe with the same model."""

import os

import joblib
import litserve

CLASSES = os.environ["CLASSES"].split(",")


class Classifier(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    def decode_request(self, request: dict) -> list[float]:
        return request["row"]

    def predict(self, row: list[float]) -> list[float]:
        return self.model.predict_proba([row])[0]

    def encode_response(self, chances: list[float]) -> dict:
        return {"predictions": [CLASSES[int(chances.argmax())]], "probabilities": [chances.tolist()]}


if __name__ == "__main__":
    server = litserve.LitServer(Classifier(), accelerator="cpu")
    server.run(port=int(os.environ["PORT"]), host="127.0.0.1", generate_client_file=False, log_level="warning")
