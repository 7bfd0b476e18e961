"""Who may know whom: the architecture, as a table that fails when the code leaves it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from iris_nb.table import SCHEMA

ROOT = Path(__file__).parents[1]
LIBRARY = sorted(p for p in (ROOT / "iris_nb").glob("*.py") if not p.name.startswith("_"))
SERVICE = sorted((ROOT / "serve").rglob("*.py"))
HEAVY = {"mlflow", "sklearn", "skl2onnx", "onnx", "pandas", "pyarrow", "papermill", "nbdev", "voila", "plotly"}

#: module: the modules of the library that it may import.
MAY_IMPORT: dict[str, set[str]] = {
    "schema": set(),
    "home": set(),
    "data": {"schema"},
    "trees": set(),
    "model": {"schema", "bundle", "trees"},
    "evaluate": {"model"},
    "gate": {"evaluate"},
    "conformal": {"predict"},
    "evidence": {"schema", "charts", "evaluate"},
    "bundle": {"schema"},
    "predict": {"schema", "bundle"},
    "tracking": {"schema", "model"},
    "registry": {"bundle", "tracking"},
    "runs": {"schema", "tracking"},
    "cli": set(),
    "training": {"home", "bundle", "runs", "tracking", "registry"},
    "inspection": {"home", "bundle", "predict"},
    "sources": {"schema"},
    "scoring": {"home", "bundle", "predict", "sources"},
    "chain": set(),
    "tables": {"schema", "chain"},
    "database": {"home", "tables"},
    "tally": set(),
    "history": {"schema", "tables", "tally"},
    "inserting": set(),
    "audit": {"schema", "chain", "tables", "database", "history", "inserting"},
    "upkeep": {"chain", "tables", "database", "history", "audit"},
    "glance": {"tables", "history"},
    "keys": set(),
    "auditing": {"home", "tables", "upkeep", "audit"},
    "distances": {"schema"},
    "drift": {"schema", "distances"},
    "quality": {"schema"},
    "explain": {"schema"},
    "charts": {"schema"},
    "page": {"schema"},
    "panels": {"charts", "page"},
    "board": {"schema", "bundle", "predict", "glance", "charts", "page"},
    "judged": {"schema", "predict", "glance", "distances", "drift", "quality", "charts", "page"},
    "shelf": {"bundle", "predict", "glance", "charts", "page"},
    "one": {"schema", "predict", "explain", "charts", "page"},
    "look": {"schema", "predict", "audit", "history", "glance", "drift", "page", "board", "judged", "shelf"},
    "watch": {"schema", "home", "bundle", "predict", "tables", "drift", "quality", "page", "board", "judged", "look"},
    "simulate": {"schema", "home", "bundle", "predict", "tables", "audit", "page"},
    "dashboard": {"home"},
    "up": {"schema", "home", "bundle"},
    "mlflow_pages": {"home"},
}


def imports(path: Path) -> set[str]:
    "Every module that a file imports, at its top or inside a function, as dotted names."
    found = set()
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            origin = ".".join(filter(None, [base, node.module]))
            found |= {origin} if origin != "iris_nb" else {f"iris_nb.{a.name}" for a in node.names}
    return found


def test_every_module_of_the_library_has_its_place_in_the_table():
    assert {p.stem for p in LIBRARY} == set(MAY_IMPORT)


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: p.stem)
def test_a_library_module_imports_only_what_it_may_know(path):
    known = {name.split(".")[1] for name in imports(path) if name.startswith("iris_nb.")}
    assert known <= MAY_IMPORT[path.stem]


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: p.stem)
def test_the_library_does_not_know_the_service(path):
    assert not [name for name in imports(path) if name.split(".")[0] == "serve"]


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: p.stem)
def test_only_tracking_and_the_pages_know_mlflow(path):
    if path.stem not in ("tracking", "mlflow_pages"):
        assert not [name for name in imports(path) if name.split(".")[0] == "mlflow"]


@pytest.mark.parametrize("path", SERVICE, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_service_imports_nothing_heavy(path):
    assert not {name.split(".")[0] for name in imports(path)} & HEAVY


def test_a_running_service_has_loaded_nothing_heavy():
    code = "import sys, serve.app; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not set(loaded.stdout.split()) & HEAVY


def test_the_dashboard_does_not_know_the_service_or_mlflow():
    source = (ROOT / "nbs/dashboard/monitoring.ipynb").read_text()
    assert "import serve" not in source
    assert "from serve" not in source
    assert "mlflow" not in source


SPELL = [ROOT / "iris_nb/schema.py", ROOT / "iris_nb/data.py"]


@pytest.mark.parametrize(
    "path", [p for p in [*LIBRARY, *SERVICE] if p not in SPELL], ids=lambda p: str(p.relative_to(ROOT))
)
def test_only_the_schema_and_the_loader_spell_the_data_sets_words(path):
    words = {*SCHEMA.names, *SCHEMA.classes, *(part for name in SCHEMA.names for part in name.split("_")[:1])}
    text = path.read_text().lower()
    assert not [word for word in words if word in text]


@pytest.mark.parametrize("path", [*LIBRARY, *SERVICE], ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_can_be_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 250


@pytest.mark.parametrize("path", SERVICE, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_settings_read_the_environment(path):
    if path.name != "settings.py":
        assert "environ" not in path.read_text()
        assert "getenv" not in path.read_text()


def test_importing_the_service_touches_nothing(tmp_path):
    code = "import serve.app, pathlib; print(list(pathlib.Path('.').iterdir()))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr
