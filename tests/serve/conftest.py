"""A service in this process, and one behind a real port."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from iris_nb.examples import HOUSES, IRIS
from iris_nb.schema import Schema
from iris_nb.table import SCHEMA
from serve.app import create_app
from serve.settings import Settings
from tests.serve.live import Live
from tests.serve.mixed import doubles_of, write_champion

Client = TestClient[Litestar]


@pytest.fixture
def home(tmp_path: Path, bundles: Path) -> Path:
    "A home with two model versions, the first of them champion."
    shutil.copytree(bundles, tmp_path / "home" / "bundles")
    return tmp_path / "home"


@pytest.fixture
def make_client(home: Path) -> Iterator[Callable[..., Client]]:
    "Starts services in this process, with any settings."
    with ExitStack() as stack:

        def make(**settings: object) -> Client:
            chosen = Settings(**{"home": home, "watch_seconds": 0.05, "log_level": "warning", **settings})
            return stack.enter_context(TestClient(create_app(chosen)))

        yield make


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    return make_client()


@pytest.fixture
def live(home: Path) -> Iterator[Callable[..., Live]]:
    "Starts services as processes of their own, on free ports."
    with ExitStack() as stack:
        yield lambda **environ: stack.enter_context(Live(home, environ))


@pytest.fixture
def row() -> dict[str, float]:
    return dict(SCHEMA.example)


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[Callable[[Schema], Client]]:
    "Starts services in this process about any table."
    with ExitStack() as stack:

        def make(schema: Schema) -> Client:
            home = tmp_path / schema.name
            write_champion(home / "bundles", schema, doubles_of(schema))
            return stack.enter_context(TestClient(create_app(Settings(home=home, log_level="warning"), schema=schema)))

        yield make


@pytest.fixture
def houses(make_service: Callable[[Schema], Client]) -> Client:
    "A service about houses: every kind of feature, gaps and costs."
    return make_service(HOUSES)


@pytest.fixture
def irises(make_service: Callable[[Schema], Client]) -> Client:
    "A service about plain numbers, without costs."
    return make_service(IRIS)
