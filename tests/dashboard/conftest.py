"""A dashboard that runs, and a browser that looks at it."""

import shutil
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import uuid_utils

from iris_nb.audit.log import AuditLog, Entry, ids_of
from iris_nb.bundle import champion
from iris_nb.predict.predictor import Predictor
from iris_nb.schema import decode_row
from iris_nb.table import SCHEMA
from tests.browsing import watching

ROOT = Path(__file__).parents[2]
MINUTE = 60_000_000
#: No part of the page is still the first picture's, on its way, or waiting for a figure to be drawn.
WHOLE = """() => {
    const parts = [...document.querySelectorAll(".panel")].filter(part => part.offsetParent);
    const pieces = part => [...part.querySelectorAll(".pieces > *")];
    const there = part => pieces(part).length && pieces(part).every(p => p.classList.contains("jupyter-widgets"));
    const waiting = document.querySelector("#first, [data-figure], #state[data-rest], .noUi-handle:not([aria-label])");
    return document.querySelector("#state") && parts.length && parts.every(there) && !waiting;
}"""


def whole(open_: Callable) -> Callable:
    "Let what opens a page wait until its first picture has made way for the whole of it."

    def open_whole(url: str, width: int = 1280):
        page = open_(url, width)
        page.wait_for_function(WHOLE)
        return page

    return open_whole


@pytest.fixture
def visit(visit: Callable) -> Callable:
    "Opens the whole page for one test."
    return whole(visit)


@pytest.fixture(scope="module")
def look(browser) -> Iterator[Callable]:
    "Opens the whole page once for all tests of a module that only look at it: each visit starts a kernel."
    with watching(browser) as open_:
        opened = cache(whole(open_))
        yield lambda url, width=1280: opened(url, width)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, bundles: Path) -> Path:
    "A home folder with a champion and no log."
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(bundles, home / "bundles")
    return home


@pytest.fixture(scope="session")
def logged() -> Callable[..., list[str]]:
    "Logs rows drawn from the reference of a home folder's champion, as old as asked; returns their ids."
    rng = np.random.default_rng(0)

    def add(home: Path, rows: int, minutes_ago: float = 5, shift: dict[str, float] | None = None) -> list[str]:
        predictor = Predictor.load(champion(home / "bundles"))
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
                features=[list(decode_row(SCHEMA, x).values())],
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


@pytest.fixture(scope="module")
def flowers(home: Path, logged: Callable[..., list[str]]) -> Callable[..., list[str]]:
    "Logs such rows in the home folder of the module."
    return partial(logged, home)
