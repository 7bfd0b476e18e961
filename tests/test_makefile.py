"""The environment follows the clone: make finds out that the folder was moved or renamed."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    "A clone's Makefile beside an environment that holds nothing but one program."
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / ".ready").touch()
    return tmp_path


def make(clone: Path, folder: str) -> None:
    "Run make in a clone whose program was installed in `folder`."
    (clone / ".venv" / "bin" / "iris-nb").write_text(f"#!{folder}/.venv/bin/python\nimport sys\n")
    subprocess.run(["make", "help"], cwd=clone, check=True, capture_output=True)


def test_an_environment_that_was_made_elsewhere_is_made_anew(clone):
    make(clone, "/somewhere/else")
    assert not (clone / ".venv").exists()


def test_an_environment_that_was_made_here_stays(clone):
    make(clone, str(clone.resolve()))
    assert (clone / ".venv" / ".ready").exists()
