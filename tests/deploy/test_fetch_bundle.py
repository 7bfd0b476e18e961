"""fetch-bundle, against a real MLflow server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from iris_nb.bundle import champion, read_bundle
from iris_nb.table import SCHEMA
from tests.conftest import MakeBundle
from tests.running import free_port, running

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).parents[2] / "deploy" / "image" / "fetch-bundle"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    "An MLflow server, started as compose.yaml starts it."
    home, port = tmp_path_factory.mktemp("mlflow"), free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", f"--backend-store-uri=sqlite:///{home}/mlflow.db"]
    command += [f"--artifacts-destination={home}/artifacts", "--host=127.0.0.1", f"--port={port}", "--workers=1"]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with running(command, f"{url}/health", home / "said", {**os.environ, **quiet}):
        yield url


@pytest.fixture(scope="module")
def promote(registry: str, tmp_path_factory: pytest.TempPathFactory, make_bundle: MakeBundle):
    "Registers a bundle as the pipeline does, through MLflow's own routes, and makes it the champion."
    http = httpx.Client(base_url=f"{registry}/api/2.0/mlflow", timeout=60)

    def ask(path: str, **body: object) -> dict:
        answer = http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    experiment = ask("experiments/create", name=SCHEMA.name)["experiment_id"]
    ask("registered-models/create", name=SCHEMA.name)

    def promote(version: str, spoilt: bool = False) -> str:
        bundle = make_bundle(tmp_path_factory.mktemp("made"), version=version)
        run = ask("runs/create", experiment_id=experiment)["run"]["info"]
        place = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
        for file in bundle.iterdir():
            content = file.read_bytes() + (b" " if spoilt and file.name == "reference.csv" else b"")
            url = f"{registry}/api/2.0/mlflow-artifacts/artifacts/{place}/bundle/{bundle.name}/{file.name}"
            assert httpx.put(url, content=content).status_code == 200
        made = ask("model-versions/create", name=SCHEMA.name, source=run["artifact_uri"], run_id=run["run_id"])
        number = made["model_version"]["version"]
        ask("registered-models/alias", name=SCHEMA.name, alias="champion", version=number)
        return bundle.name

    yield promote
    http.close()


def fetch(home: Path, registry: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "IRIS_HOME": str(home), "MLFLOW_TRACKING_URI": registry}
    return subprocess.run([sys.executable, str(PROGRAM)], env=environ, capture_output=True, text=True, timeout=60)


def test_it_brings_the_champion_then_the_next_and_refuses_a_spoilt_one(registry, promote, tmp_path):
    first = promote("1")
    done = fetch(tmp_path, registry)
    assert done.returncode == 0, done.stderr
    assert read_bundle(champion(tmp_path / "bundles")).path.name == first
    assert "already" in fetch(tmp_path, registry).stdout

    second = promote("2")
    assert fetch(tmp_path, registry).returncode == 0
    assert champion(tmp_path / "bundles").name == second

    promote("3", spoilt=True)
    done = fetch(tmp_path, registry)
    assert done.returncode == 1
    assert "reference.csv" in done.stderr
    assert champion(tmp_path / "bundles").name == second
    assert sorted(p.name for p in (tmp_path / "bundles").iterdir()) == sorted(["champion.json", first, second])


def test_an_unreachable_registry_is_one_line(tmp_path):
    done = fetch(tmp_path, "http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("The champion was not fetched: ")
    assert len(done.stderr.splitlines()) == 1
