"""Other people's clients ask two services, and print what they got as JSON; run by the environment in `.uv/clients`.

.uv/clients/bin/python tests/deploy/clients.py triton http://127.0.0.1:20001 http://127.0.0.1:20002
"""

import asyncio
import json
import sys
from typing import Any

import numpy as np

PEOPLE = np.array([[1.7, 70.0], [1.9, 82.5], [1.6, 55.0]])
#: Two houses, the second with every gap that there may be, in each datatype of the protocol.
HOUSES: dict[str, tuple[str, np.ndarray]] = {
    "area": ("FP64", np.array([120.0, 77.5])),
    "rooms": ("INT64", np.array([4, 3])),
    "heating": ("BYTES", np.array(["heat pump", ""], dtype=object)),
    "condition": ("BYTES", np.array(["good", "poor"], dtype=object)),
    "district": ("BYTES", np.array(["Old Town", "Größenhafen"], dtype=object)),
    "garden": ("BOOL", np.array([True, False])),
    "built": ("BYTES", np.array(["1987-05-01", "2001-12-31"], dtype=object)),
    "rent": ("FP64", np.array([900.0, np.nan])),
}


def triton(people: str, houses: str) -> dict[str, Any]:
    "tritonclient: raw tensors by default, JSON where asked."
    import tritonclient.http as http
    from tritonclient.utils import InferenceServerException

    one, other = (http.InferenceServerClient(url.removeprefix("http://")) for url in (people, houses))

    def matrix(name: str = "X", datatype: str = "FP64", binary: bool = True) -> list[Any]:
        values = PEOPLE.astype(np.float64 if datatype == "FP64" else np.float32)
        return [http.InferInput(name, [*PEOPLE.shape], datatype).set_data_from_numpy(values, binary_data=binary)]

    def named(binary: bool, rows: slice = slice(None)) -> list[Any]:
        return [
            http.InferInput(name, [len(v[rows])], datatype).set_data_from_numpy(v[rows], binary_data=binary)
            for name, (datatype, v) in HOUSES.items()
        ]

    def told(result: Any, *names: str) -> dict[str, Any]:
        found = {name: result.as_numpy(name).tolist() for name in names or ("label", "probabilities")}
        return {name: [x.decode() if isinstance(x, bytes) else x for x in values] for name, values in found.items()}

    def refused(ask: Any) -> str:
        try:
            ask()
        except InferenceServerException as error:
            return str(error.message())
        return "nothing was refused"

    wanted = [http.InferRequestedOutput(name, binary_data=False) for name in ("label", "probabilities")]
    full = one.infer("people", matrix(), request_id="triton-1")
    everything = other.infer("houses", named(True))
    return {
        "ready": [one.is_server_live(), one.is_server_ready(), one.is_model_ready("people")],
        "versions": [one.is_model_ready("people", "1"), one.is_model_ready("people", "7"), one.is_model_ready("other")],
        "server": one.get_server_metadata(),
        "metadata": other.get_model_metadata("houses", "1"),
        "matrix": told(full),
        "id": full.get_response()["id"],
        "matrix as JSON": told(one.infer("people", matrix(binary=False), outputs=wanted)),
        "of version 1": told(one.infer("people", matrix(), model_version="1")),
        **{
            coding: told(
                one.infer(
                    "people", matrix(), request_compression_algorithm=coding, response_compression_algorithm=coding
                )
            )
            for coding in ("gzip", "deflate")
        },
        "houses": told(everything, "label", "probabilities", "decision", "prediction_id"),
        "a house as JSON": told(other.infer("houses", named(False, slice(0, 1)), outputs=wanted)),
        "another name": refused(lambda: one.infer("people", matrix("WRONG"))),
        "another datatype": refused(lambda: one.infer("people", matrix("X", "FP32"))),
        "another model": refused(lambda: one.infer("other", matrix())),
        "another version": refused(lambda: one.infer("people", matrix(), model_version="7")),
        "another model's metadata": refused(lambda: one.get_model_metadata("other")),
    }


def kserve(people: str, houses: str) -> dict[str, Any]:
    "KServe's REST client."
    import httpx
    from kserve import InferenceRESTClient, InferInput, InferRequest
    from kserve.inference_client import RESTConfig

    def request(model: str, tensors: dict[str, tuple[str, Any]], binary: bool, **more: Any) -> InferRequest:
        inputs = []
        for name, (datatype, values) in tensors.items():
            inputs.append(tensor := InferInput(name, [*values.shape], datatype))
            tensor.set_data_from_numpy(values, binary_data=binary)
        return InferRequest(model, inputs, **more)

    def told(answer: Any) -> dict[str, Any]:
        found = {output.name: output.as_numpy().tolist() for output in answer.outputs}
        return {
            name: [x.decode() if isinstance(x, bytes) else x for x in found[name]]
            for name in ("label", "probabilities")
        }

    async def ask() -> dict[str, Any]:
        client = InferenceRESTClient(RESTConfig(protocol="v2"))

        async def refused(url: str, model: str, tensors: dict[str, tuple[str, Any]]) -> str:
            try:
                await client.infer(url, request(model, tensors, True), model_name=model)
            except httpx.HTTPStatusError as error:
                return str(error)
            return "nothing was refused"

        numbers = {"X": ("FP64", PEOPLE)}
        raw, asked = {"binary_data_output": True}, {"request_id": "kserve-1"}
        columns = {"height": ("FP64", PEOPLE[:, 0]), "weight": ("FP64", PEOPLE[:, 1])}
        json_answer = await client.infer(people, request("people", columns, False, **asked), model_name="people")
        return {
            "ready": [
                await client.is_server_live(people),
                await client.is_server_ready(people),
                await client.is_model_ready(people, "people"),
                await client.is_model_ready(people, "other"),
            ],
            "columns as JSON": told(json_answer),
            "id": json_answer.id,
            "matrix": told(await client.infer(people, request("people", numbers, True), model_name="people")),
            "raw": told(
                await client.infer(people, request("people", numbers, True, parameters=raw), model_name="people")
            ),
            "houses": told(await client.infer(houses, request("houses", HOUSES, True), model_name="houses")),
            "another name": await refused(people, "people", {"WRONG": ("FP64", PEOPLE)}),
            "another model": await refused(people, "other", numbers),
        }

    return asyncio.run(ask())


def mlflow(people: str, houses: str) -> dict[str, Any]:
    "MLflow's client of its scoring server, and its client of deployments."
    import pandas as pd
    from mlflow.deployments import get_deploy_client
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    def client(url: str) -> ScoringServerClient:
        host, _, port = url.removeprefix("http://").partition(":")
        return ScoringServerClient(host, int(port))

    def refused(ask: Any) -> str:
        try:
            ask()
        except Exception as error:
            return f"{error} {getattr(getattr(error, 'response', None), 'text', '')}"
        return "nothing was refused"

    one, other, deployed = client(people), client(houses), get_deploy_client(people)
    one.wait_server_ready()
    numbers = pd.DataFrame(PEOPLE, columns=["height", "weight"], index=["a", "b", "c"])
    table = pd.DataFrame({name: values for name, (_, values) in HOUSES.items()}).replace({"heating": {"": None}})
    endpoint = deployed.get_endpoint("people")
    return {
        "version": one.get_version(),
        "frame": one.invoke(numbers).get_predictions().to_dict("records"),
        "array": one.invoke(PEOPLE).get_predictions().to_dict("records"),
        "list": one.invoke(PEOPLE.tolist()).get_predictions().to_dict("records"),
        "sets": one.invoke(numbers, params={"alpha": 0.001})["prediction_sets"],
        "houses": other.invoke(table)["labels"],
        "deployed": deployed.predict(endpoint="people", inputs={"dataframe_split": numbers.to_dict("split")})["labels"],
        "endpoint": [endpoint.name, endpoint.model.name, endpoint.endpoint_url],
        "a bad value": refused(lambda: one.invoke(numbers.assign(height=99.0))),
        "another endpoint": refused(lambda: deployed.predict(endpoint="other", inputs={"instances": PEOPLE.tolist()})),
    }


if __name__ == "__main__":
    name, *urls = sys.argv[1:]
    found = {"triton": triton, "kserve": kserve, "mlflow": mlflow}[name](*urls)
    print(json.dumps(found))
