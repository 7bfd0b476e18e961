"""Reading bodies: bounded in size and time, and JSON."""

import asyncio
import json
import socket

import httpx
import pytest

from iris_nb.keys import new_key
from iris_nb.table import SCHEMA
from serve.body import BodyReader
from serve.errors import InvalidInput

GOOD = json.dumps(SCHEMA.example)


def test_a_caller_that_vanishes_while_sending_is_no_fault_of_the_service():
    async def gone() -> dict[str, str]:
        return {"type": "http.disconnect"}

    with pytest.raises(InvalidInput, match="closed before the body ended"):
        asyncio.run(BodyReader(max_bytes=10, timeout=1).read({}, gone))


def test_a_reader_that_is_cancelled_from_outside_stays_cancelled():
    async def forever() -> None:
        await asyncio.Event().wait()

    async def main(bodies: BodyReader) -> None:
        task = asyncio.create_task(bodies.read({}, forever))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not bodies.reading

    asyncio.run(main(BodyReader(max_bytes=10, timeout=1)))


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_a_body_beyond_the_limit_is_a_413(make_client, path):
    answer = make_client(max_body=2000).post(path, content=b" " * 2001, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_that_hides_its_length_is_limited_too(make_client):
    def pieces():
        yield from [b" " * 500] * 10

    assert make_client(max_body=2000).post("/predict", content=pieces()).status_code == 413


def test_a_label_is_limited_like_every_body(make_client):
    client = make_client(max_body=2000)
    path = "/predictions/x/label"
    assert client.post(path, content=b" " * 2001, headers={"content-type": "application/json"}).status_code == 413
    assert client.post(path, content=b"label", headers={"content-type": "text/plain"}).status_code == 415


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_another_content_type_is_a_415(client, kind):
    answer = client.post("/predict", content=GOOD, headers={"content-type": kind})
    assert answer.status_code == 415
    assert kind in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.row+json"])
def test_json_by_another_name_is_json(client, kind):
    assert client.post("/predict", content=GOOD, headers={"content-type": kind}).status_code == 200


HEAD = "POST {} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{}"


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def test_silent_callers_delay_neither_the_others_nor_the_end(live):
    service = live(IRIS_BODY_SECONDS="1")
    silent = [connected(service.port) for _ in range(200)]
    try:
        for i, connection in enumerate(silent):
            if i % 2:
                connection.sendall(HEAD.format("/predict", 50, "{").encode())
        assert httpx.post(f"{service.url}/predict", json=SCHEMA.example).status_code == 200
        assert silent[1].recv(100).startswith(b"HTTP/1.1 408")
        assert service.stop() == 0
    finally:
        for connection in silent:
            connection.close()


def test_a_slow_caller_is_answered(live):
    service = live()
    body = json.dumps(SCHEMA.example)
    with connected(service.port) as connection:
        whole = HEAD.format("/predict", len(body), body).encode()
        for i in range(0, len(whole), 20):
            connection.sendall(whole[i : i + 20])
            assert httpx.get(f"{service.url}/health/live").status_code == 200
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/predictions/x/label"])
def test_a_body_without_a_content_type_is_a_415(client, path):
    "A web page of another origin may send one without asking first."
    answer = client.post(path, content=GOOD)
    assert answer.status_code == 415
    assert "content-type" in answer.json()["detail"].lower()


@pytest.mark.parametrize("path", ["/predictions/x/label", "/model/reload", "/model/rollback", "/predict"])
def test_who_has_no_key_is_sent_away_before_the_body_is_read(live, path):
    service = live(IRIS_API_KEYS=str(new_key("a")[1]))
    with connected(service.port) as connection:
        connection.sendall(HEAD.format(path, 4_000_000, "").encode())
        connection.settimeout(10)
        assert connection.recv(100).startswith(b"HTTP/1.1 401")
