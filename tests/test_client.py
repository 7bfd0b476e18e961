"""The HTTP client of the service: what it repeats, and what it says when nothing answers."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from iris_nb.client import Client, ClientError, Reply, is_up


class Server(BaseHTTPRequestHandler):
    "Answers 503 with a page that is no JSON, and closes a connection after `/last` without saying so."

    protocol_version = "HTTP/1.1"
    seen: list[str] = []

    def do_GET(self) -> None:
        self.seen.append(f"{self.command} {self.path}")
        self.send_response(503)
        self.send_header("content-length", "1")
        self.end_headers()
        self.wfile.write(b"<")
        if self.path == "/last":
            self.close_connection = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Server.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_server_that_refuses_is_up(url):
    assert is_up(url)


def test_a_port_that_nobody_listens_on_is_not_up():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert not is_up(f"http://127.0.0.1:{port}")


def test_a_connection_that_the_server_closed_is_opened_again_for_a_get(url):
    with Client(url) as client:
        client.get("/last")
        assert client.get("/next").status == 503
    assert Server.seen == ["GET /last", "GET /next"]


def test_a_post_is_never_sent_twice(url):
    with Client(url) as client:
        client.get("/last")
        with suppress(ClientError):
            client.post("/predict", {})
    assert Server.seen.count("POST /predict") <= 1


def test_a_path_before_the_routes_is_kept(url):
    with Client(f"{url}/iris/") as client:
        client.get("/health")
    assert Server.seen == ["GET /iris/health"]


@pytest.mark.parametrize("wrong", ["", "localhost", "localhost:8000", "ftp://host", "http://", "http://host:port"])
def test_an_address_that_is_none_is_a_sentence(wrong, monkeypatch):
    monkeypatch.setenv("IRIS_URL", "not an address")
    with pytest.raises(ClientError, match="is no address of a service"):
        Client(wrong)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]"])
def test_what_is_no_problem_report_gives_the_status_as_its_reason(body):
    assert Reply(502, body).reason == "The service answered 502."
