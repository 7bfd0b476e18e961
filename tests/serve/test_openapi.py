"""Whatever the document allows or forbids: no answer of 500 or more, and none that the document does not know."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from iris_nb.keys import new_key
from tests.serve.live import Live

SECRET, KEY = new_key("tester")
COMMAND = [str(Path(sys.executable).parent / "schemathesis"), "run", "--no-color", "--checks=all", "--seed=1"]
COMMAND += ["--phases=examples,coverage,fuzzing", "--warnings=off", f"--header=X-API-Key:{SECRET}"]

#: Two operations take more than the document says, on purpose: a batch with `partial` takes bad rows, and a query of
#: the history takes `null` for a parameter that is left out.
GENEROUS = ["predict_batch", "history"]
PARTS = {
    "the strict ones": ["--max-time=30", *(f"--exclude-operation-id={name}" for name in GENEROUS)],
    "the generous ones": ["--max-time=20", *(f"--include-operation-id={name}" for name in GENEROUS)]
    + ["--exclude-checks=negative_data_rejection"],
}


@pytest.fixture(scope="module")
def service(bundles, tmp_path_factory):
    "A service that asks for keys."
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(bundles, home / "bundles")
    with Live(home, {"IRIS_API_KEYS": f"{KEY.name}:{KEY.digest}", "IRIS_LOG_LEVEL": "warning"}) as service:
        yield service


@pytest.mark.slow
@pytest.mark.parametrize("selected", PARTS.values(), ids=PARTS)
def test_the_service_keeps_to_its_document(service, selected, tmp_path):
    done = subprocess.run(
        [*COMMAND, *selected, f"{service.url}/openapi.json"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in service.said()
