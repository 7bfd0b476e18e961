"A real Feast feature server as a source of features: `make feast` gets it, and runs these tests."

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from iris_nb.lookup.feast import FeastSource
from iris_nb.lookup.source import SourceError
from iris_nb.lookup.sources import Sources
from iris_nb.request import parse_moment
from tests.lookup.worlds import DAY, LOANS
from tests.running import free_port, running

ROOT = Path(__file__).parents[2]
FEAST = ROOT / ".uv/feast/bin/python"
TARGET = "make feast"


@contextmanager
def opened(url: str, *columns: str) -> Iterator[FeastSource]:
    made = FeastSource(url, "customers", "customer_id", columns or ("income", "rating"), 10)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    "The address of a Feast feature server about three customers."
    if not FEAST.exists():
        missing = f"there is no Feast here: `{TARGET}` gets it"
        pytest.fail(missing) if os.environ.get("IRIS_REQUIRE_TOOLS") else pytest.skip(missing)
    folder, port = tmp_path_factory.mktemp("feast"), free_port()
    words = [str(FEAST), str(ROOT / "tests/deploy/feast_world.py"), str(folder), str(port)]
    url, environ = f"http://127.0.0.1:{port}", {"PATH": os.environ["PATH"], "HOME": str(folder), "FEAST_USAGE": "False"}
    with running(words, f"{url}/health", folder / "said", environ, folder):
        yield url


def test_a_real_server_gives_values_with_their_times(real):
    now = parse_moment("2100-01-01")
    with opened(real) as feast:
        known, old, gap, unknown = feast.latest(["1001", "1002", "1003", "nobody"], now)
    assert (known.values, old.values["rating"], unknown) == ({"income": 52_000.0, "rating": "A"}, "B", None)
    assert gap.values.get("income") is None
    assert known.true_from - old.true_from == 8 * DAY


def test_a_real_server_completes_rows_by_the_rules_of_the_declaration(real):
    loans = replace(LOANS, features=LOANS.features[:3])
    sources = Sources(loans, Path("none"), real, 10)
    rows = [(5.0, "1001"), (5.0, "1002"), (5.0, "nobody")]
    with opened(real) as feast:
        now = feast.latest(["1001"], 0)[0].true_from + DAY
    known, old, unknown = sources.lookups.complete(rows, now)
    sources.close()
    assert (known.row, old.row) == ((5.0, 52_000.0, "A"), (5.0, 7_000.0, None))
    assert [f.field for f in unknown.faults] == ["customer_id"]


def test_a_real_servers_complaint_is_repeated(real):
    with opened(real, "shoe_size") as feast, pytest.raises(SourceError, match="shoe_size"):
        feast.latest(["1001"], 0)
