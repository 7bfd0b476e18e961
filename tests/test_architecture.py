"""Who may know whom: the architecture, as a table that fails when the code leaves it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from iris_nb.examples import IRIS

ROOT = Path(__file__).parents[1]
LIBRARY = sorted(p for p in (ROOT / "iris_nb").rglob("*.py") if not p.name.startswith("_"))
SERVICE = sorted((ROOT / "serve").rglob("*.py"))
HEAVY = {"mlflow", "sklearn", "onnx", "pandas", "pyarrow", "papermill", "nbdev", "voila", "plotly"}

#: The layers, from the ground up: a module may know those of lower layers, and those of its own layer and room.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("values", "origin", "kinds", "schema", "request", "examples", "config", "keys"),
    ("files",),
    ("table",),
    ("session", "bundle", "charts", "client"),
    ("audit",),
    ("lookup",),
    ("predict",),
    ("compare",),
    ("train", "monitor"),
    ("dashboard", "run", "retrain"),
    ("cli",),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
#: What the service may know of the library: nothing heavy.
LIGHT = {
    "values",
    "kinds",
    "origin",
    "request",
    "schema",
    "table",
    "config",
    "keys",
    "session",
    "bundle",
    "audit.log",
    "audit.history",
    "audit.events",
    "audit.anchor",
    "predict.predictor",
    "compare.experiment",
    "lookup.source",
    "lookup.table",
    "lookup.feast",
    "lookup.sources",
    "monitor.report",
}


def name_of(path: Path) -> str:
    "The module's dotted name below iris_nb, e.g. audit.log."
    return ".".join(path.relative_to(ROOT / "iris_nb").with_suffix("").parts)


def uphill(module: str, known: set[str]) -> set[str]:
    "Those of the modules `known` that `module` may not import: of a higher layer, or of another room of its layer."
    room = module.split(".")[0]
    return {
        other
        for other in known
        if LEVEL[other.split(".")[0]] > LEVEL[room]
        or (LEVEL[other.split(".")[0]] == LEVEL[room] and other.split(".")[0] != room and "." in module + other)
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


def test_every_module_of_the_library_has_its_layer():
    assert {name_of(p).split(".")[0] for p in LIBRARY} <= set(LEVEL)


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_no_import_leads_uphill(path):
    known = {name.removeprefix("iris_nb.") for name in imports(path) if name.startswith("iris_nb.")}
    assert not uphill(name_of(path), known)


def test_an_import_that_leads_uphill_is_found():
    assert uphill("audit.log", {"schema", "audit.chain", "predict.predictor"}) == {"predict.predictor"}
    assert uphill("monitor.watch", {"dashboard.page"}) == {"dashboard.page"}
    assert uphill("train.gate", {"monitor.drift"}) == {"monitor.drift"}


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_the_library_does_not_know_the_service(path):
    assert not [name for name in imports(path) if name.split(".")[0] == "serve"]


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_only_tracking_and_the_pages_know_mlflow(path):
    if name_of(path) not in ("train.tracking", "run.mlflow_pages"):
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


#: Where the irises may be spelled: the project's table, as long as it is theirs, and the examples.
SPELL = [ROOT / "iris_nb/table.py", ROOT / "iris_nb/examples.py"]
WORDS = {*IRIS.names, *IRIS.classes, *(name.split("_")[0] for name in IRIS.names), "load_iris"}


@pytest.mark.parametrize(
    "path", [p for p in [*LIBRARY, *SERVICE] if p not in SPELL], ids=lambda p: str(p.relative_to(ROOT))
)
def test_no_module_but_the_table_and_the_examples_spells_the_words_of_a_data_set(path):
    text = path.read_text().lower()
    assert not [word for word in WORDS if word in text]


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_no_module_depends_on_the_example_tables(path):
    assert "iris_nb.examples" not in imports(path)


@pytest.mark.parametrize("path", [*LIBRARY, *SERVICE], ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_can_be_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 400


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


# ---- style -------------------------------------------------------------------------------------------------------

CODE = [*LIBRARY, *SERVICE]
PLACE = {"ids": lambda p: str(p.relative_to(ROOT))}


def lines_of(path: Path, kind: type[ast.AST] | tuple[type[ast.AST], ...]) -> dict[str, int]:
    "How many lines each class or function of a file has."
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kind)]
    return {node.name: node.end_lineno - node.lineno + 1 for node in nodes}


@pytest.mark.parametrize("path", CODE, **PLACE)
def test_a_class_fits_two_screens(path):
    assert not {name: n for name, n in lines_of(path, ast.ClassDef).items() if n > 80}


@pytest.mark.parametrize("path", CODE, **PLACE)
def test_a_function_fits_a_screen(path):
    found = lines_of(path, (ast.FunctionDef, ast.AsyncFunctionDef))
    assert not {name: n for name, n in found.items() if n > 50}


def test_inheritance_has_at_most_two_levels_of_our_own():
    nodes = [node for path in CODE for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
    bases = {node.name: {b.id for b in node.bases if isinstance(b, ast.Name)} for node in nodes}

    def levels(name: str) -> int:
        return 1 + max((levels(base) for base in bases[name] if base in bases and base != name), default=0)

    # Errors are a tree by subject: IrisError, AuditError, AuditConflict.
    assert not {name for name in bases if levels(name) > (3 if "IrisError" in ancestors(name, bases) else 2)}


def ancestors(name: str, bases: dict[str, set[str]]) -> set[str]:
    found = {name}
    for base in bases.get(name, set()) - {name}:
        found |= ancestors(base, bases)
    return found


def lesson_numbers() -> dict[str, str]:
    "The number of the lesson of each module, e.g. 04 of audit.log."
    lessons = (ROOT / "nbs/api").rglob("[0-9]*.ipynb")
    return {
        ".".join([*p.relative_to(ROOT / "nbs/api").parent.parts, p.stem.partition("_")[2]]): p.stem.partition("_")[0]
        for p in lessons
    }


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_no_import_leads_to_a_later_lesson_of_the_same_room(path):
    numbers, module = lesson_numbers(), name_of(path)
    room = module.rpartition(".")[0]
    known = {name.removeprefix("iris_nb.") for name in imports(path) if name.startswith("iris_nb.")}
    same = {other for other in known if other.rpartition(".")[0] == room and other in numbers}
    assert not {other for other in same if numbers[other] > numbers[module]}


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_only_the_configuration_reads_our_variables(path):
    "Others may hand the environment on to a program that they start."
    text = path.read_text()
    if name_of(path) != "config":
        assert not re.search(r"environ(?:\.get\(|\[)\s*[\"']IRIS_", text)
        assert "getenv" not in text


@pytest.mark.parametrize("path", sorted([*(ROOT / "bench").glob("*.py"), *(ROOT / "docs").glob("*.py")]), **PLACE)
def test_a_program_that_no_test_runs_can_be_imported(path):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
