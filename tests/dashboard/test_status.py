"""The lights of the page."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from iris_nb.dashboard.status import _drift_light, _up_light, service_state
from iris_nb.monitor.report import Report, Verdict


def test_a_service_that_is_unwell_is_said_to_be():
    assert "It says it is degraded" in _up_light({"status": "degraded"}, "http://here")
    assert "Nothing answers at http://here" in _up_light(None, "http://here")


@pytest.fixture
def said(request: pytest.FixtureRequest) -> Iterator[str]:
    "The address of a service that answers every path with one status and body."
    status, body = request.param

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ((200, b'{"status": "healthy"}'), {"status": "healthy"}),
        ((503, b"{}"), {"status": "HTTP 503"}),
        ((200, b"<"), None),
    ],
    indirect=["said"],
)
def test_what_the_service_says_of_itself_is_read_or_not_there(said, state):
    assert service_state(said, seconds=10) == state


def test_a_column_that_can_not_be_judged_does_not_dim_the_light_of_the_others():
    verdicts = [Verdict("rent", "unsure", "Only 5 of 90 rows have a rent."), Verdict("area", "good", "As in training.")]
    said = _drift_light(Report(0.0, "24h", 90, verdicts, "good", "As ever."))
    assert "Drift: good" in said
    assert "rent" not in said
