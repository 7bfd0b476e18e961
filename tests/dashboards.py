"""A dashboard that runs, as `make dashboard` starts it."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.running import free_port, running

ROOT = Path(__file__).parents[1]


@contextmanager
def shown(home: Path, root: Path = ROOT, **environ: str) -> Iterator[str]:
    "The dashboard of a home folder, as `make dashboard` starts it in the project at `root`; yields its address."
    port = free_port()
    settings = {
        "IRIS_HOME": str(home),
        "IRIS_DASHBOARD_PORT": str(port),
        "PYTHONPATH": str(root),
        "IRIS_DASHBOARD_KERNELS": "30",
        **environ,
    }
    command, url = [sys.executable, "-m", "iris_nb.run.servers"], f"http://127.0.0.1:{port}"
    with running(command, f"{url}/voila/static/voila.js", home / "said", {**os.environ, **settings}, root):
        yield f"{url}/"


@pytest.fixture(scope="session")
def dashboard() -> Callable[..., AbstractContextManager[str]]:
    "Starts the dashboard of a home folder, as a context that gives its address."
    return shown
