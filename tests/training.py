"""A home where one quick training happened, made once for all the processes of a test run."""

import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = Path(sys.executable).parent / "iris-nb"


def call(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    "Run `iris-nb` about a home, with no other tracking server than its own."
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")} | {"IRIS_HOME": str(home)}
    return subprocess.run([PROGRAM, *words], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=600)


def relocate(database: Path, old: str, new: str) -> None:
    "Replace one folder by another in every text of a SQLite database: MLflow stores absolute paths."
    with sqlite3.connect(database) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for _, column, kind, *_ in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
                if "CHAR" in kind.upper() or "TEXT" in kind.upper():
                    connection.execute(f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?)', (old, new))
    connection.close()


@pytest.fixture(scope="session")
def training(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    "The home of `iris-nb train --quick`, which nobody may change, and what the command said."
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    home, ended = base / "trained", base / "trained.json"
    with (base / "trained.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ended.exists():
            shutil.rmtree(home, ignore_errors=True)
            done = call(home, "train", "--quick")
            ended.write_text(json.dumps([done.returncode, done.stdout, done.stderr]))
    done = subprocess.CompletedProcess([], *json.loads(ended.read_text()))
    assert done.returncode == 0, done.stderr
    return home, done


@pytest.fixture(scope="session")
def trained_home(training: tuple[Path, object]) -> Path:
    "A home with a champion in the registry and in the bundles folder. Not to be changed: copy it for that."
    return training[0]


@pytest.fixture(scope="session")
def copy_trained(trained_home: Path) -> Callable[[Path], Path]:
    "Copies that home to a folder that is not there yet, where anything may be done with it."

    def copy(home: Path) -> Path:
        shutil.copytree(trained_home, home)
        relocate(home / "mlflow.db", str(trained_home), str(home))
        return home

    return copy
