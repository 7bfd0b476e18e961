"""A service in this process, and one behind a real port."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from iris_nb.examples import HOUSES
from iris_nb.table import SCHEMA
from serve.app import create_app
from serve.settings import Settings
from tests.serve.live import Live
from tests.serve.mixed import rows_of, write_champion

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


@pytest.fixture(scope="session")
def house_bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "A folder with a champion for houses; not to be changed."
    folder = tmp_path_factory.mktemp("houses")
    write_champion(folder, HOUSES, rows_of(HOUSES))
    return folder


@pytest.fixture
def houses(tmp_path: Path, house_bundles: Path) -> Iterator[Client]:
    "A service about houses: every kind of feature, gaps and costs."
    shutil.copytree(house_bundles, tmp_path / "houses" / "bundles")
    settings = Settings(home=tmp_path / "houses", log_level="warning")
    with TestClient(create_app(settings, schema=HOUSES)) as client:
        yield client
