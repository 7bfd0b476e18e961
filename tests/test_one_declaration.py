"""One bound is changed in the schema's notebook, and everything follows without another edit."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BEFORE = 'Feature("sepal_length", "cm", 1, 15,'
AFTER = 'Feature("sepal_length", "cm", 1, 9,'

ASK_THE_SERVICE = """
import json, sys
from pathlib import Path
from litestar.testing import TestClient
from iris_nb.table import SCHEMA
from serve.app import create_app
from serve.settings import Settings
with TestClient(create_app(Settings(home=Path(sys.argv[1])))) as client:
    statuses = [client.post("/predict", json={**SCHEMA.example, "sepal_length": x}).status_code for x in (8.9, 9.1)]
    refusal = client.post("/predict", json={**SCHEMA.example, "sepal_length": 9.1}).json()
    openapi = client.get("/openapi.json").json()
print(json.dumps([statuses, refusal["errors"][0]["expected"], json.dumps(openapi["components"]["schemas"])]))
"""

READ_THE_SLIDER = """
import json, nbformat
from nbclient import NotebookClient
notebook = nbformat.read("nbs/dashboard/monitoring.ipynb", 4)
NotebookClient(notebook, timeout=120, resources={"metadata": {"path": "nbs/dashboard"}}).execute()
models = notebook.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"].values()
print(json.dumps([[m["state"]["min"], m["state"]["max"]] for m in models if m["model_name"] == "FloatSliderModel"]))
"""


@pytest.fixture(scope="module")
def narrowed(tmp_path_factory: pytest.TempPathFactory, bundles: Path) -> Path:
    "A copy of the project in which one bound of one feature is another, exported, with a champion."
    root = tmp_path_factory.mktemp("narrowed")
    leave = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in ("nbs", "iris_nb", "serve"):
        shutil.copytree(ROOT / name, root / name, symlinks=True, ignore=leave)
    for name in ("settings.ini", "setup.py", "_quarto.yml"):
        shutil.copy(ROOT / name, root)
    declaration = root / "nbs/api/00_schema.ipynb"
    text = declaration.read_text()
    quoted = json.dumps(BEFORE)[1:-1]
    assert text.count(quoted) == 1
    declaration.write_text(text.replace(quoted, json.dumps(AFTER)[1:-1]))
    subprocess.run([Path(sys.executable).parent / "nbdev_export"], cwd=root, check=True)
    shutil.copytree(bundles, root / "var/bundles")
    return root


def run(code: str, root: Path, *arguments: str) -> object:
    "What a program prints as JSON when it runs in the copy."
    environ = {"PYTHONPATH": str(root), "PATH": str(Path(sys.executable).parent), "IRIS_HOME": str(root / "var")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=root, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_api_accepts_and_explains_the_new_bound(narrowed):
    statuses, expected, _ = run(ASK_THE_SERVICE, narrowed, str(narrowed / "var"))
    assert statuses == [200, 400]
    assert expected == "a number from 1 to 9 cm"


def test_the_documentation_of_the_api_says_the_new_bound(narrowed):
    *_, schemas = run(ASK_THE_SERVICE, narrowed, str(narrowed / "var"))
    rows = [
        s["properties"]["sepal_length"]
        for s in json.loads(schemas).values()
        if "sepal_length" in str(s.get("required"))
    ]
    assert rows
    assert all(row["maximum"] == 9 for row in rows)


def test_the_dashboards_slider_ends_at_the_new_bound(narrowed):
    sliders = run(READ_THE_SLIDER, narrowed)
    assert [1, 9] in sliders
    assert [1, 15] not in sliders
