"""The notebooks are the source: exports in step, nothing unclean, and lessons that read as lessons."""

import filecmp
import shutil
import subprocess
import sys
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


def test_there_are_examples_beside_what_is_exported():
    "Lines of examples for each exported line: a lesson shows what it defines."
    shown = exported = 0
    for path in EXPORTING:
        for cell in nbformat.read(path, 4).cells:
            lines = [x for x in cell.source.splitlines() if x.strip() and not x.strip().startswith("#")]
            if cell.cell_type == "code" and "#| default_exp" not in cell.source:
                if "#| export" in cell.source:
                    exported += len(lines)
                elif "#| hide" not in cell.source:
                    shown += len(lines)
    assert shown >= 0.35 * exported


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
