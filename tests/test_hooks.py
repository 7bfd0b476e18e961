"""What `make hooks` installs: notebooks clean when they are saved, and shown and merged by cells."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).parents[1]


class Clone:
    "A repository with one notebook of three cells and the hooks, used without the environment on the PATH."

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder / "clone", folder / "home"
        self.home.mkdir()
        (self.folder / "nbs").mkdir(parents=True)
        for name in ("Makefile", "pyproject.toml", ".gitignore"):
            shutil.copy(ROOT / name, self.folder)
        (self.folder / ".venv").symlink_to(sys.prefix)
        self.notebook = self.folder / "nbs/lesson.ipynb"
        self.run("git init --quiet --initial-branch main")
        self.write(["a = 1", "b = 2", "c = 3"], count=1)
        self.run("git add --all && git commit --quiet --message first")
        self.run("make --old-file .venv/.ready hooks")

    def run(self, line: str) -> str:
        who = {f"GIT_{role}_{what}": "me@here" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        plain = {"HOME": str(self.home), "PATH": "/usr/local/bin:/usr/bin:/bin", **who}
        keep = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        done = subprocess.run(line, shell=True, cwd=self.folder, env=plain | keep, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def write(self, sources: list[str], count: int) -> None:
        cells = [new_code_cell(s, id=f"cell-{i}", execution_count=count) for i, s in enumerate(sources)]
        nbformat.write(new_notebook(cells=cells), self.notebook)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return Clone(tmp_path_factory.mktemp("hooks"))


def test_hooks_leave_nothing_that_somebody_could_commit_by_mistake(clone):
    assert not [line for line in clone.run("git status --short").splitlines() if ".venv" not in line]


def test_two_who_ran_the_same_notebook_have_no_conflict(clone):
    clone.run("git switch --quiet --create theirs")
    clone.write(["a = 10", "b = 2", "c = 3"], count=7)
    clone.run("git commit --quiet --all --message theirs && git switch --quiet main")
    clone.write(["a = 1", "b = 2", "c = 30"], count=9)
    clone.run("git commit --quiet --all --message ours && git merge --quiet --no-edit theirs")
    merged = nbformat.read(clone.notebook, 4)
    assert [cell.source for cell in merged.cells] == ["a = 10", "b = 2", "c = 30"]


def test_a_change_is_shown_by_cells_and_not_as_json(clone):
    clone.run("git reset --quiet --hard")
    clone.write(["a = 1", "b = 20", "c = 3"], count=1)
    changed = clone.run("git diff")
    clone.run("git reset --quiet --hard")
    assert "## modified cell-1" in changed
    assert '"source"' not in changed


def test_a_notebook_is_clean_when_it_was_saved_and_keeps_its_tags(clone):
    server = SimpleNamespace(ContentsManager=SimpleNamespace())
    exec((clone.home / ".jupyter/jupyter_server_config.py").read_text(), {"c": server})
    noise = {"tags": ["parameters"], "scrolled": True}
    saved = new_notebook(cells=[new_code_cell("n = 1", metadata=noise, execution_count=4)], metadata={"vscode": 1})
    model = {"type": "notebook", "content": saved}
    server.ContentsManager.pre_save_hook(path=str(clone.notebook), model=model)
    assert saved.cells[0].metadata == {"tags": ["parameters"]}
    assert saved.cells[0].execution_count is None
    assert "vscode" not in saved.metadata
