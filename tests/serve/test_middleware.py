"""What is the same for every request, and the fast path."""

import json
import re
import shutil
import socket
from contextlib import ExitStack

import pytest
from litestar.exceptions import WebSocketDisconnect
from litestar.testing import TestClient

from iris_nb.examples import HOUSES
from iris_nb.table import SCHEMA
from serve.app import create_app
from serve.settings import Settings
from tests.serve.mixed import doubles_of, write_champion


def test_a_websocket_is_turned_away(client):
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/predict"):
        pass


def test_every_answer_carries_the_security_headers_and_an_id(client, row):
    for answer in (client.get("/"), client.post("/predict", json=row), client.post("/predict"), client.get("/no")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["content-security-policy"]
        assert answer.headers["x-request-id"]
        assert answer.headers["cache-control"] == "no-store"


def test_web_pages_may_not_call_unless_their_origin_is_set(client, row):
    answer = client.post("/predict", json=row, headers={"origin": "https://a.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_web_pages_of_a_set_origin_may_call(make_client, row):
    client = make_client(cors_origins=("https://a.example",))
    ours, other = {"origin": "https://a.example"}, {"origin": "https://b.example"}
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key, content-type"}
    assert client.options("/predict", headers=ours | asked).status_code == 204
    assert client.options("/predict", headers=other | asked).status_code == 400
    for send in (lambda h: client.post("/predict", json=row, headers=h), lambda h: client.get("/health", headers=h)):
        assert send(ours).headers["access-control-allow-origin"] == "https://a.example"
        assert "access-control-allow-origin" not in send(other).headers


def test_the_request_id_is_the_callers_or_a_new_one(client, row):
    assert client.post("/predict", json=row, headers={"x-request-id": "a-1"}).headers["x-request-id"] == "a-1"
    made = client.post("/predict", json=row, headers={"x-request-id": 'no "good"'}).headers["x-request-id"]
    assert len(made) == 36


@pytest.mark.parametrize("path", ["/predict/", "/predict//"])
def test_a_slash_too_many_where_callers_predict_is_ignored(client, row, path):
    assert client.post(path, json=row).status_code == 200


GOOD, FIRST = dict(SCHEMA.example), SCHEMA.names[0]
BODIES = {
    "good": ("/predict", GOOD),
    "with alpha": ("/predict?alpha=0.1", GOOD),
    "a wrong option": ("/predict?alpha=2&partial=maybe", GOOD),
    "a bad row": ("/predict", GOOD | {FIRST: "wide", "colour": 1}),
    "nothing": ("/predict", b""),
    "not JSON": ("/predict", b"{"),
    "nested deeply": ("/predict", b"[" * 9999),
    "not UTF-8": ("/predict", b'{"\xff": 1}'),
    "a name twice": ("/predict", json.dumps(GOOD)[:-1].encode() + b', "%b": 5.1}' % FIRST.encode()),
    "an odd way to write a number": ("/predict", json.dumps(GOOD).replace("5.1", "51e-1").encode()),
    "many": ("/predict/batch", {"samples": [GOOD] * 3}),
    "many with alpha": ("/predict/batch?alpha=0.2", {"samples": [GOOD] * 3}),
    "a bad one among many": ("/predict/batch", {"samples": [GOOD, {}]}),
    "partial": ("/predict/batch?partial=true", {"samples": [GOOD, {}, GOOD]}),
    "partial without a good one": ("/predict/batch?partial=true", {"samples": [{}]}),
    "too many": ("/predict/batch", {"samples": [GOOD] * 11}),
    "no rows": ("/predict/batch", {"samples": []}),
    "too large": ("/predict/batch", b" " * 5000),
    "a slash too many": ("/predict/", GOOD),
}


@pytest.fixture(scope="module")
def both_ways(bundles, tmp_path_factory):
    "The same service twice: with the fast path, and with the handlers of Litestar alone."
    with ExitStack() as stack:
        clients = []
        for fast_path in (True, False):
            home = tmp_path_factory.mktemp("home")
            shutil.copytree(bundles, home / "bundles")
            settings = Settings(home=home, log_level="warning", max_rows=10, max_body=4000)
            clients.append(stack.enter_context(TestClient(create_app(settings, fast_path))))
        yield clients


# What no two answers share, as it is spelt: an id, a time, a number with a fraction (however short: 0.1, 8e-08).
OWN = re.compile(
    rb"[0-9a-f]{8}-[0-9a-f-]{27}"
    rb"|\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)"
    rb"|\d+(?:\.\d+)?e-?\d+|\d+\.\d+"
)


def without_ids_and_times(value: object) -> object:
    "The same JSON with the values blanked that no two answers share."
    if isinstance(value, dict):
        own = {"processing_time_ms", "timestamp", "prediction_ids", "id", "duration_ms"}
        return {k: "..." if k in own else without_ids_and_times(v) for k, v in value.items()}
    return [without_ids_and_times(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("path", "body"), BODIES.values(), ids=BODIES)
def test_the_fast_path_answers_as_the_handlers_do(both_ways, path, body):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json", "x-request-id": "the-same"}
    fast, plain = (client.post(path, content=content, headers=headers) for client in both_ways)
    assert fast.status_code == plain.status_code
    assert OWN.sub(b"#", fast.content) == OWN.sub(b"#", plain.content)
    assert without_ids_and_times(fast.json()) == without_ids_and_times(plain.json())
    own = {"content-length", "x-request-id"}
    assert {k: v for k, v in fast.headers.items() if k not in own} == {
        k: v for k, v in plain.headers.items() if k not in own
    }
    rows = [client.get("/predictions/history?limit=3").json()["predictions"] for client in both_ways]
    assert without_ids_and_times(rows[0]) == without_ids_and_times(rows[1])


def test_both_ways_count_a_request_alike(both_ways):
    texts = [client.get("/metrics").text for client in both_ways]
    counts = [[line for line in text.splitlines() if line.startswith("iris_requests_total")] for text in texts]
    assert sorted(counts[0]) == sorted(counts[1])


@pytest.mark.parametrize("path", ["/metrics/", "/metrics//", "/health/live/", "/docs/", "/model//info"])
def test_another_spelling_of_a_page_is_a_404(client, path):
    "A proxy that keeps a page inside knows it by one spelling."
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "EVIL.example."])
@pytest.mark.parametrize(("method", "path"), [("GET", "/predictions/history"), ("POST", "/predict"), ("GET", "/docs")])
def test_a_service_of_this_machine_does_not_answer_to_a_foreign_name(client, row, host, method, path):
    answer = client.request(method, path, json=row, headers={"host": host})
    assert answer.status_code == 400
    assert "IRIS_ALLOWED_HOSTS" in answer.json()["detail"]


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "10.1.2.3:80", "a.localhost", "serve:8000"]
)
def test_names_of_this_machine_and_addresses_are_answered(client, host):
    assert client.get("/health", headers={"host": host}).status_code == 200


def test_names_that_are_allowed_are_answered(make_client):
    client = make_client(allowed_hosts=("iris.example", "*.flowers.example"))
    for host, status in {
        "iris.example": 200,
        "a.flowers.example:80": 200,
        "flowers.example": 400,
        "b.example": 400,
    }.items():
        assert client.get("/health", headers={"host": host}).status_code == status, host


def test_a_service_that_others_reach_answers_to_any_name_unless_they_are_set(make_client):
    client = make_client(host="0.0.0.0", allow_open=True)
    assert client.get("/health", headers={"host": "iris.example"}).status_code == 200
    client = make_client(host="0.0.0.0", allow_open=True, allowed_hosts=("iris.example",))
    assert client.get("/health", headers={"host": "other.example"}).status_code == 400
    assert client.get("/health", headers={"host": "iris.example"}).status_code == 200


@pytest.mark.parametrize("hosts", ["", "host: a\r\nhost: b\r\n"], ids=["none", "two"])
def test_a_request_needs_one_host(live, hosts):
    with socket.create_connection(("127.0.0.1", live().port), timeout=20) as connection:
        connection.sendall(f"GET /health HTTP/1.1\r\n{hosts}\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 400")


def test_a_failure_in_the_middle_is_answered_logged_and_counted(client, monkeypatch, caplog):
    async def breaks(*_: object) -> None:
        raise RuntimeError("something new")

    middleware = client.app.asgi_handler
    monkeypatch.setattr(middleware, "_app", breaks)
    answer = client.get("/model/info", headers={"x-request-id": "odd-1"})
    monkeypatch.undo()
    assert answer.status_code == 500
    assert answer.json()["request_id"] == "odd-1"
    assert answer.headers["x-frame-options"] == "DENY"
    assert 'status="500"' in client.get("/metrics").text


@pytest.mark.parametrize("odd", [{}, {"rent": None}, {"built": "2026-02-30"}, {"heating": "coal", "rooms": 5.5}])
def test_the_fast_path_answers_for_other_kinds_as_the_handlers_do(tmp_path, odd):
    found = []
    for fast_path in (True, False):
        home = tmp_path / str(fast_path)
        write_champion(home / "bundles", HOUSES, doubles_of(HOUSES))
        app = create_app(Settings(home=home, log_level="warning"), fast_path, HOUSES)
        with TestClient(app) as client:
            body = {**HOUSES.example, **odd}
            answer = client.post("/predict", json=body, headers={"x-request-id": "the-same"})
            found.append((answer.status_code, without_ids_and_times(answer.json())))
    assert found[0] == found[1]
