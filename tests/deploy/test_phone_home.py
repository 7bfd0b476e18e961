"""Nothing phones home: ONNX Runtime reports its use unless a variable is set before its import."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMPORT = re.compile(r"^\s*(?:import onnxruntime|from onnxruntime)\b", re.M)
#: What opens a model: the service, the library, and each program of ours that does it.
OPENERS = [
    "iris_nb.bundle",
    "iris_nb.predict.predictor",
    "iris_nb.predict.commands",
    "iris_nb.train.tracking",
    "iris_nb.monitor.watch",
    "serve.app",
]


def bare_environment(home: Path) -> dict[str, str]:
    "Return an environment without the variable, and without `CI`, in which ONNX Runtime reports nothing either."
    return {"PATH": os.environ["PATH"], "HOME": str(home)}


def written_by(code: str, home: Path) -> list[str]:
    "What a fresh Python leaves in an empty home directory by ONNX Runtime's hand."
    subprocess.run([sys.executable, "-c", code], env=bare_environment(home), cwd=ROOT, check=True)
    return [str(path.relative_to(home)) for path in home.rglob("*") if "onnxruntime" in path.name]


def test_the_import_of_onnx_runtime_alone_leaves_a_queue_of_reports(tmp_path):
    "Where this no longer holds, what is done against it may go."
    if sys.platform != "linux":
        pytest.skip("Other builds report in other ways.")
    assert written_by("import onnxruntime", tmp_path)


@pytest.mark.parametrize("module", OPENERS)
def test_a_process_that_can_open_a_model_leaves_none(tmp_path, module):
    assert written_by(f"import {module}", tmp_path) == []


def test_a_prediction_from_a_bundle_leaves_none(tmp_path, bundles):
    folder = next(path for path in bundles.iterdir() if path.is_dir())
    code = f"""
from pathlib import Path
from iris_nb.predict.predictor import Predictor
predictor = Predictor.load(Path({str(folder)!r}))
predictor.predict([dict(predictor.schema.example)])"""
    assert written_by(code, tmp_path) == []


def python_of(path: Path) -> str:
    if path.suffix != ".ipynb":
        return path.read_text()
    cells = json.loads(path.read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def test_only_the_bundle_module_imports_onnx_runtime():
    "It sets the variable first; an import elsewhere might come before it."
    files = [
        path
        for folder in ("iris_nb", "serve", "nbs", "bench", "deploy", "docs", "tests")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".ipynb") or path.parent == ROOT / "deploy/image"
    ]
    importing = {str(path.relative_to(ROOT)) for path in files if path.is_file() and IMPORT.search(python_of(path))}
    assert importing - {"tests/deploy/test_phone_home.py"} == {"iris_nb/session.py", "nbs/api/02a_session.ipynb"}


@pytest.mark.parametrize("variable", ["ORT_DISABLE_TELEMETRY", "MLFLOW_DISABLE_TELEMETRY"])
def test_make_and_every_image_set_it_for_whatever_they_start(variable):
    assert re.search(rf"^export {variable} := (?:1|true)$", (ROOT / "Makefile").read_text(), re.M)
    base = re.search(r"^FROM \S+ AS base\n(.*?)^FROM ", (ROOT / "Dockerfile").read_text(), re.M | re.S)
    assert base is not None
    assert re.search(rf"\b{variable}=(?:1|true)\b", base[1])
    assert f"`{variable}`" in (ROOT / "SECURITY.md").read_text()


def test_grafana_asks_nobody_outside():
    text = (ROOT / "deploy/compose.yaml").read_text()
    for line in (
        'GF_ANALYTICS_REPORTING_ENABLED: "false"',
        'GF_ANALYTICS_CHECK_FOR_UPDATES: "false"',
        'GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES: "false"',
        'GF_NEWS_NEWS_FEED_ENABLED: "false"',
        'GF_PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED: "true"',
        'GF_SECURITY_DISABLE_GRAVATAR: "true"',
    ):
        assert line in text, line
