"""A dashboard that runs, and a browser that looks at it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
import uuid_utils

from iris_nb.audit import AuditLog, Entry
from iris_nb.bundle import champion
from iris_nb.predict import Predictor
from iris_nb.schema import SCHEMA
from iris_nb.tables import ids_of
from iris_nb.up import answers

ROOT = Path(__file__).parents[2]
MINUTE = 60_000_000


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextmanager
def running(home: Path, **environ: str) -> Iterator[str]:
    "The dashboard of a home folder, as `make dashboard` starts it; yields its address."
    port = str(free_port())
    settings = {"IRIS_HOME": str(home), "IRIS_DASHBOARD_PORT": port, "PYTHONPATH": str(ROOT), **environ}
    with (home / "dashboard.out").open("wb") as out:
        program = subprocess.Popen(
            [sys.executable, "-m", "iris_nb.dashboard"],
            cwd=ROOT,
            env={**os.environ, **settings},
            stdout=out,
            stderr=out,
        )
    url = f"http://127.0.0.1:{port}/voila/static/voila.js"
    try:
        deadline = time.monotonic() + 60
        while not answers(url):
            ended = program.poll() is not None or time.monotonic() > deadline
            assert not ended, (home / "dashboard.out").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        program.send_signal(signal.SIGTERM)
        program.wait(30)


@pytest.fixture
def visit(visit: Callable) -> Callable:
    "Opens the page and waits until its first picture has made way for the whole of it."

    def open_(url: str, width: int = 1280):
        page = visit(url, width)
        page.wait_for_selector("#state:not([data-rest])", state="attached")
        return page

    return open_


@pytest.fixture(scope="session")
def dashboard() -> Callable[..., AbstractContextManager[str]]:
    "Starts the dashboard of a home folder, as a context that gives its address."
    return running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, bundles: Path) -> Path:
    "A home folder with a champion and no log."
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(bundles, home / "bundles")
    return home


@pytest.fixture(scope="module")
def flowers(home: Path) -> Callable[..., list[str]]:
    "Logs rows drawn from the champion's reference, as old as asked; returns their ids."
    predictor = Predictor.load(champion(home / "bundles"))
    rng = np.random.default_rng(0)

    def add(rows: int, minutes_ago: float = 5, shift: dict[str, float] | None = None) -> list[str]:
        X = rng.permutation(predictor.bundle.reference[0])[:rows].copy()
        for name, by in (shift or {}).items():
            X[:, SCHEMA.names.index(name)] += by
        P = predictor.probabilities(X)
        now = time.time_ns() // 1000 - int(minutes_ago * MINUTE)
        entries = [
            Entry(
                id=ids_of(str(uuid_utils.uuid7()), 1)[0],
                request_id=f"r{i}",
                time=now + i * 1000,
                model_name=predictor.card.name,
                model_version=predictor.card.version,
                duration_ms=1.0,
                caller=None,
                features=[x],
                labels=[label],
                confidences=[max(p)],
                probabilities=[p],
            )
            for i, (x, p, label) in enumerate(zip(X.tolist(), P.tolist(), predictor.labels(P), strict=True))
        ]
        with AuditLog.open(home / "audit.db") as log:
            log.append(entries)
        return [e.id for e in entries]

    return add
