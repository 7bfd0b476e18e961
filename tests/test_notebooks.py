"""The notebooks are the source: exports in step, nothing unclean, and lessons that read as lessons."""

import ast
import filecmp
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(p for p in (ROOT / "nbs").rglob("*.ipynb") if not any(part[0] in "._" for part in p.parts))
EXPORTING = [p for p in NOTEBOOKS if (ROOT / "nbs/api") in p.parents]
names = {"ids": lambda p: p.stem}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    "A copy of the notebooks and the library, to export and clean."
    root = tmp_path_factory.mktemp("copy")
    for name in ("pyproject.toml", "settings.ini", "setup.py", "_quarto.yml"):
        shutil.copy(ROOT / name, root)
    for name in ("nbs", "iris_nb"):
        shutil.copytree(
            ROOT / name, root / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "_*.ipynb")
        )
    return root


def run(command: str, cwd: Path) -> None:
    program = Path(sys.executable).parent / command
    done = subprocess.run([program], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def modules(root: Path) -> list[str]:
    return sorted(p.relative_to(root / "iris_nb").as_posix() for p in (root / "iris_nb").rglob("*.py"))


def test_the_library_is_in_step_with_the_notebooks(copy):
    shutil.rmtree(copy / "iris_nb")
    (copy / "iris_nb").mkdir()
    shutil.copy(ROOT / "iris_nb/__init__.py", copy / "iris_nb")  # it has the version, which no notebook has
    run("nbdev-export", copy)
    here = modules(ROOT)
    assert modules(copy) == here
    same, different, failed = filecmp.cmpfiles(ROOT / "iris_nb", copy / "iris_nb", here, shallow=False)
    assert not different + failed, "run nbdev-export"


def test_the_notebooks_are_clean(copy):
    run("nbdev-clean", copy)
    changed = [p for p in NOTEBOOKS if p.read_bytes() != (copy / p.relative_to(ROOT)).read_bytes()]
    assert not changed, "run nbdev-clean"


@pytest.mark.parametrize("path", NOTEBOOKS, **names)
def test_outputs_are_stored_in_lessons_and_cleared_where_they_are_made_anew(path):
    cells = [c for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    if path.parent in (ROOT / "nbs/pipeline", ROOT / "nbs/dashboard"):
        assert not [c for c in cells if c.outputs]
    else:
        assert [c for c in cells if c.outputs]
        assert not [o for c in cells for o in c.outputs if o.output_type == "error"]


@dataclass
class Lesson:
    "What the style's numbers are counted over."

    words: int = 0  # of prose
    exports: list[int] = field(default_factory=list)  # lines of each export cell that defines something
    lines: int = 0  # exported lines in all
    code: int = 0  # code cells that a reader may see
    hidden: int = 0  # code cells with #| hide
    defined: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)


def definitions(source: str) -> list[str]:
    return [
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]


def read(path: Path) -> Lesson:
    "Count one exporting notebook. A run of export cells without an example in between counts as one."
    lesson, waiting, shown_since = Lesson(), list[str](), False
    for cell in nbformat.read(path, 4).cells:
        source = cell.source
        if cell.cell_type == "markdown":
            lesson.words += len(source.split())
        elif "#| default_exp" in source:
            continue
        elif "#| export" in source:
            body = "\n".join(line for line in source.splitlines() if line.strip() and not line.startswith("#|"))
            lesson.lines += len(body.splitlines())
            if any(not isinstance(n, ast.Import | ast.ImportFrom) for n in ast.parse(body).body):
                lesson.exports.append(len(body.splitlines()))
            if shown_since:
                waiting, shown_since = [], False
            waiting += definitions(body)
            lesson.defined += definitions(body)
        elif "#| hide" in source:
            lesson.hidden += 1
            lesson.code += 1
        else:
            lesson.code += 1
            shown_since = True
            lesson.shown += [name for name in waiting if name in source and name not in lesson.shown]
    lesson.code += len(lesson.exports)
    return lesson


@pytest.mark.parametrize("path", EXPORTING, **names)
def test_an_export_is_small(path):
    exports = read(path).exports
    assert statistics.median(exports) <= 10
    assert max(exports) <= 40


@pytest.mark.parametrize("path", EXPORTING, **names)
def test_most_definitions_are_shown_at_work_before_the_next_one(path):
    lesson = read(path)
    missing = set(lesson.defined) - set(lesson.shown)
    assert len(lesson.shown) >= 0.75 * len(lesson.defined), f"not shown: {missing}"


@pytest.mark.parametrize("path", EXPORTING, **names)
def test_little_code_is_hidden(path):
    lesson = read(path)
    assert lesson.hidden <= 0.10 * lesson.code


@pytest.mark.parametrize("path", EXPORTING, **names)
def test_there_is_more_prose_than_code(path):
    lesson = read(path)
    assert lesson.words >= 2 * lesson.lines, f"{lesson.words} words for {lesson.lines} exported lines"


@pytest.mark.parametrize("path", EXPORTING, **names)
def test_a_lesson_opens_with_its_promise(path):
    first, title = nbformat.read(path, 4).cells[:2]
    assert first.source.startswith("#| default_exp")
    assert title.source.startswith("# ")
    assert "\n> " in title.source


@pytest.mark.parametrize("path", EXPORTING, **names)
def test_a_lesson_imports_by_name_and_patches_nothing(path):
    code = "\n".join(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code")
    assert "import *" not in code
    assert "@patch" not in code
