"Feast's feature server as a source, against planned answers; tests/deploy/test_feast.py asks a real one."

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from iris_nb.client import ClientError
from iris_nb.lookup.feast import FeastSource
from iris_nb.lookup.source import Found, SourceError
from iris_nb.lookup.sources import Sources
from iris_nb.request import parse_moment
from iris_nb.schema import Lookup
from tests.lookup.worlds import LOANS

COLUMNS = ("income", "rating")


def column(values: list[Any], status: str = "PRESENT", time: str = "2026-11-24T14:00:00Z") -> dict[str, list[Any]]:
    return {"values": values, "statuses": [status] * len(values), "event_timestamps": [time] * len(values)}


def answer_about(*columns: dict[str, list[Any]], names: tuple[str, ...] = ("customer_id", *COLUMNS)) -> bytes:
    return json.dumps({"metadata": {"feature_names": list(names)}, "results": list(columns)}).encode()


GOOD = answer_about(column(["c1"]), column([52_000.0]), column(["A"]))
Asked = list[tuple[str, Any]]


@contextmanager
def planned(answer: bytes | Callable[[Any], bytes], status: int = 200) -> Iterator[tuple[str, Asked]]:
    "A server that gives one answer; yields its address and what it was asked."
    asked = Asked()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.do_POST()

        def do_POST(self):
            size = int(self.headers.get("Content-Length") or 0)
            asked.append((self.path, json.loads(self.rfile.read(size)) if size else None))
            said, body = status, b'"refused"'
            try:
                body = answer(asked[-1][1]) if callable(answer) else answer
            except ValueError:
                said = 500
            self.send_response(said)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words): ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def source(url: str, seconds: float = 5) -> FeastSource:
    return FeastSource(url, "customers", "customer_id", COLUMNS, seconds)


@contextmanager
def opened(url: str, seconds: float = 5) -> Iterator[FeastSource]:
    made = source(url, seconds)
    try:
        yield made
    finally:
        made.close()


def test_all_keys_are_asked_for_at_once_in_feasts_own_words():
    body = answer_about(column(["c1", "c2"]), column([1.0, 2.0]), column(["A", "B"]))
    with planned(body) as (url, asked), opened(url) as feast:
        found = feast.latest(["c1", "c2"], 0)
    features = {"features": ["customers:income", "customers:rating"], "entities": {"customer_id": ["c1", "c2"]}}
    assert asked == [("/get-online-features", features)]
    time = parse_moment("2026-11-24T14:00:00Z")
    assert found == [Found({"income": 1.0, "rating": "A"}, time), Found({"income": 2.0, "rating": "B"}, time)]


@pytest.mark.parametrize("status", ["NOT_FOUND", "OUTSIDE_MAX_AGE", "NULL_VALUE"])
def test_only_a_value_that_is_present_counts(status):
    with planned(answer_about(column(["c1"]), column([1.0]), column(["A"], status))) as (url, _), opened(url) as feast:
        assert feast.latest(["c1"], 0)[0].values == {"income": 1.0}
    none = answer_about(column(["c1"]), column([1.0], status), column(["A"], status))
    with planned(none) as (url, _), opened(url) as feast:
        assert feast.latest(["c1"], 0) == [None]


def test_the_oldest_value_gives_the_age():
    old = column(["A"], time="2026-11-01T00:00:00Z")
    with planned(answer_about(column(["c1"]), column([1.0]), old)) as (url, _), opened(url) as feast:
        assert feast.latest(["c1"], 0)[0].true_from == parse_moment("2026-11-01")


@pytest.mark.parametrize(
    "body",
    [
        b"<html>", b"[]", b"null", b'{"results": []}', answer_about(column(["c1"]), names=("customer_id",)),
        answer_about(column(["c1"]), column([1.0, 2.0]), column(["A"])),
        answer_about(column(["c1"]), column([1.0], time="yesterday"), column(["A"])),
        answer_about(column(["c1"]), column([1.0]), names=("customer_id", "income", "rating")),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_feasts_is_called_so(body):
    with planned(body) as (url, _), opened(url) as feast, pytest.raises(SourceError, match="not as a Feast"):
        feast.latest(["c1"], 0)


@pytest.mark.parametrize("body", [b'"Feature x not found"', b'{"detail": "Feature x not found"}'])
def test_what_the_server_complains_about_is_repeated(body):
    said = "answered 500 about customers: .*Feature x not found"
    with planned(body, 500) as (url, _), opened(url) as feast, pytest.raises(SourceError, match=said):
        feast.latest(["c1"], 0)


def test_one_key_that_is_no_number_does_not_fail_those_that_are():
    def of_numbers(asked: Any) -> bytes:
        keys = [int(key) for key in asked["entities"]["customer_id"]]  # as Feast does for an entity of numbers
        return answer_about(column(keys), column([float(key) for key in keys]), column(["A"] * len(keys)))

    with planned(of_numbers) as (url, asked), opened(url) as feast:
        found = feast.latest(["7", "x", "8", "7"], 0)
        assert [f and f.values["income"] for f in found] == [7, None, 8, 7]
        assert feast.latest(["x", "y"], 0) == [None, None]
        assert len(asked) == 4


def test_a_server_that_does_not_answer_is_given_up_in_time():
    may = threading.Event()

    def late(asked: Any) -> bytes:
        may.wait(10)
        return GOOD

    with planned(late) as (url, _), opened(url, seconds=0.1) as feast:
        with pytest.raises(SourceError, match=r"did not answer within 0.1 s"):
            feast.latest(["c1"], 0)
        may.set()


def test_a_second_question_waits_a_bounded_time_for_the_first():
    feast = source("http://127.0.0.1:9", seconds=0.05)
    with feast._lock, pytest.raises(SourceError, match=r"within 0.05 s"):
        feast.latest(["c1"], 0)


def test_a_connection_that_was_closed_while_idle_is_opened_again():
    with planned(GOOD) as (url, asked), opened(url) as feast:
        feast.latest(["c1"], 0)
        feast._client._connection.sock.shutdown(socket.SHUT_RDWR)
        assert feast.latest(["c1"], 0)[0].values["income"] == 52_000
        assert len(asked) == 2


def test_where_nothing_listens_there_is_a_sentence():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(SourceError, match="No Feast feature server answers"):
        source(url).latest(["c1"], 0)


def test_an_online_store_knows_no_past():
    with pytest.raises(SourceError, match="get_historical_features"):
        source("http://127.0.0.1:9").as_of(["c1"], [0])


def test_what_is_no_address_is_said_when_the_sources_are_opened(tmp_path):
    with pytest.raises(ClientError, match="no address"):
        Sources(LOANS, tmp_path / "features.db", "feast:6566")


def test_a_feature_view_has_one_key(tmp_path):
    other = replace(LOANS.features[1], name="rents", lookup=Lookup("customers", key="tenant_id"))
    with pytest.raises(SourceError, match="one key"):
        Sources(replace(LOANS, features=(*LOANS.features, other)), tmp_path / "f.db", "http://127.0.0.1:9")


def test_a_check_asks_for_the_servers_health(tmp_path):
    with planned(b'{"status": "healthy"}') as (url, asked):
        sources = Sources(LOANS, tmp_path / "features.db", url)
        sources.check()
        sources.close()
    assert [path for path, _ in asked] == ["/health", "/health"]  # of two feature views
