"""One bound is changed in the notebook of the table, and everything follows without another edit."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from iris_nb.table import SCHEMA

ROOT = Path(__file__).parents[1]
FIRST = next((f for f in SCHEMA.features if f.kind == "number" and not f.is_whole), SCHEMA.features[0])
HIGH = round(FIRST.example + (FIRST.bounds[1] - FIRST.example) / 2, 3) if FIRST.kind == "number" else 0
NARROWER = f"""#| export
from dataclasses import replace

SCHEMA = replace(SCHEMA, features=tuple(
    replace(f, high={HIGH}) if f.name == "{FIRST.name}" else f for f in SCHEMA.features))"""

pytestmark = pytest.mark.skipif(FIRST.kind != "number", reason="the table has no number with a fraction")

ASK_THE_SERVICE = """
import json, sys
from pathlib import Path
from litestar.testing import TestClient
from iris_nb.table import SCHEMA
from serve.app import create_app
from serve.settings import Settings
with TestClient(create_app(Settings(home=Path(sys.argv[1])))) as client:
    (first,) = [f for f in SCHEMA.features if f.name == sys.argv[2]]
    rows = [{**SCHEMA.example, first.name: x} for x in (first.high * 0.999, first.high * 1.001)]
    statuses = [client.post("/predict", json=row).status_code for row in rows]
    refusal = client.post("/predict", json=rows[1]).json()
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
    for name in ("pyproject.toml", "settings.ini", "setup.py", "_quarto.yml"):
        shutil.copy(ROOT / name, root)
    declaration = root / "nbs/api/01_table.ipynb"
    notebook = nbformat.read(declaration, 4)
    notebook.cells.append(nbformat.v4.new_code_cell(NARROWER))
    nbformat.write(notebook, declaration)
    subprocess.run([Path(sys.executable).parent / "nbdev-export"], cwd=root, check=True)
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
    statuses, expected, _ = run(ASK_THE_SERVICE, narrowed, str(narrowed / "var"), FIRST.name)
    assert statuses == [200, 400]
    assert expected == replace(FIRST, high=HIGH).expected


def test_the_documentation_of_the_api_says_the_new_bound(narrowed):
    *_, schemas = run(ASK_THE_SERVICE, narrowed, str(narrowed / "var"), FIRST.name)
    fields = [s["properties"].get(FIRST.name) for s in json.loads(schemas).values() if "properties" in s]
    rows = [json.dumps(field) for field in fields if field and "maximum" in json.dumps(field)]
    assert rows
    assert all(f'"maximum": {HIGH}' in row for row in rows)


def test_the_dashboards_slider_ends_at_the_new_bound(narrowed):
    sliders = run(READ_THE_SLIDER, narrowed)
    assert [FIRST.low, HIGH] in sliders
    assert [FIRST.low, FIRST.high] not in sliders
