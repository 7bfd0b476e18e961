"""Clients of Triton, KServe and MLflow, as their makers ship them, are pointed at the service and work."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

import iris_nb
from iris_nb.examples import HOUSES, PEOPLE
from tests.deploy import clients
from tests.running import free_port, running
from tests.serve.mixed import doubles_of, write_champion

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".uv" / "clients" / "bin" / "python"
TARGET = "make .uv/clients/.ready"

_NUMBERS = [dict(zip(PEOPLE.names, row, strict=True)) for row in clients.PEOPLE.tolist()]
_COLUMNS = [values.tolist() for _, values in clients.HOUSES.values()]
#: The houses of the clients, as JSON has them.
_HOUSES = [
    {name: None if value == "" or value != value else value for name, value in zip(clients.HOUSES, row, strict=True)}
    for row in zip(*_COLUMNS, strict=True)
]


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    "A service about people, one about houses."
    if not PYTHON.exists():
        (pytest.fail if os.environ.get("IRIS_REQUIRE_TOOLS") else pytest.skip)(f"`{TARGET}` gets the clients")
    found = []
    with ExitStack() as stack:
        for schema in (PEOPLE, HOUSES):
            home, port = tmp_path_factory.mktemp(schema.name), free_port()
            write_champion(home / "bundles", schema, doubles_of(schema))
            command = [str(Path(sys.executable).parent / "granian"), "--interface", "asgi", "--factory"]
            command += ["--port", str(port), "--no-ws", f"tests.deploy.examples:{schema.name}"]
            environ = {name: value for name, value in os.environ.items() if not name.startswith("IRIS_")}
            environ |= {"IRIS_HOME": str(home), "PYTHONPATH": str(ROOT)}
            found.append(f"http://127.0.0.1:{port}")
            stack.enter_context(running(command, f"{found[-1]}/health/ready", home / "said", environ, ROOT))
        yield found[0], found[1]


def ask(client: str, urls: tuple[str, str]) -> dict[str, Any]:
    "What a client got; it runs in an environment of its own."
    command = [str(PYTHON), "-W", "ignore", str(ROOT / "tests/deploy/clients.py"), client, *urls]
    environ = {"PATH": os.environ["PATH"], "MLFLOW_DISABLE_TELEMETRY": "true", "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=110)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def triton(urls: tuple[str, str]) -> dict[str, Any]:
    return ask("triton", urls)


@pytest.fixture(scope="module")
def kserve(urls: tuple[str, str]) -> dict[str, Any]:
    return ask("kserve", urls)


@pytest.fixture(scope="module")
def mlflow(urls: tuple[str, str]) -> dict[str, Any]:
    return ask("mlflow", urls)


@pytest.fixture(scope="module")
def people(urls: tuple[str, str]) -> dict[str, Any]:
    "What the service itself says about the people."
    return dict(httpx.post(f"{urls[0]}/predict/batch", json={"samples": _NUMBERS}).json())


@pytest.fixture(scope="module")
def houses(urls: tuple[str, str]) -> dict[str, Any]:
    return dict(httpx.post(f"{urls[1]}/predict/batch", json={"samples": _HOUSES}).json())


def tensors(answer: dict[str, Any]) -> dict[str, Any]:
    return {"label": answer["predictions"], "probabilities": answer["probabilities"]}


def test_triton_finds_the_server_and_the_model_and_no_other(triton):
    assert triton["ready"] == [True, True, True]
    assert triton["versions"] == [True, False, False]
    assert "binary_tensor_data" in triton["server"]["extensions"]
    assert {tensor["name"]: tensor["datatype"] for tensor in triton["metadata"]["inputs"]} == {
        name: datatype for name, (datatype, _) in clients.HOUSES.items()
    }


def test_triton_gets_the_services_own_answers_raw_and_as_json(triton, people):
    for way in ("matrix", "matrix as JSON", "of version 1", "gzip", "deflate"):
        assert triton[way] == tensors(people), way
    assert triton["id"] == "triton-1"


def test_triton_sends_every_datatype_and_gaps(triton, houses, urls):
    found = triton["houses"]
    assert {name: found[name] for name in ("label", "probabilities")} == tensors(houses)
    assert found["decision"] == houses["decisions"]
    rows = [httpx.get(f"{urls[1]}/predictions/{key}").json()["features"] for key in found["prediction_id"]]
    assert rows == _HOUSES
    assert triton["a house as JSON"] == {name: values[:1] for name, values in tensors(houses).items()}


def test_triton_is_told_what_is_wrong(triton):
    assert "/inputs/0/name: expected one of height, weight" in triton["another name"]
    assert "/inputs/0/datatype: expected FP64 for X" in triton["another datatype"]
    for what in ("another model", "another model's metadata"):
        assert 'There is no model "other" here: ask for people.' in triton[what]
    assert 'There is no version "7" of people here' in triton["another version"]


def test_kserve_finds_the_server_and_the_model_and_no_other(kserve):
    assert kserve["ready"] == [True, True, True, False]


def test_kserve_gets_the_services_own_answers(kserve, people, houses):
    for way in ("columns as JSON", "matrix", "raw"):
        assert kserve[way] == tensors(people), way
    assert kserve["houses"] == tensors(houses)
    assert kserve["id"] == "kserve-1"


def test_kserve_is_told_what_is_wrong(kserve):
    assert "/inputs/0/name: expected one of height, weight" in kserve["another name"]
    assert 'There is no model "other" here: ask for people.' in kserve["another model"]


def test_mlflow_gets_the_services_own_answers(mlflow, people, houses):
    rows = [dict(zip(PEOPLE.classes, row, strict=True)) for row in people["probabilities"]]
    for way in ("frame", "array", "list"):
        assert mlflow[way] == rows, way
    assert mlflow["houses"] == houses["predictions"]
    assert mlflow["version"] == iris_nb.__version__
    assert [set(found) <= set(PEOPLE.classes) and bool(found) for found in mlflow["sets"]] == [True] * 3


def test_mlflows_deployments_are_answered_by_name(mlflow, people, urls):
    assert mlflow["deployed"] == people["predictions"]
    assert mlflow["endpoint"] == ["people", "people_test", f"{urls[0]}/endpoints/people/invocations"]


def test_mlflow_is_told_what_is_wrong(mlflow):
    for i in range(3):
        assert (
            f"/dataframe_split/data/{i}/height: expected a number from 0.2 to 2.6 m, got 99.0" in mlflow["a bad value"]
        )
    assert "other" in mlflow["another endpoint"]
    assert "people" in mlflow["another endpoint"]
