"""Log lines: JSON, and never what the service waits for."""

import json
import os
import subprocess
import sys

import httpx

from iris_nb.table import SCHEMA
from serve import logs
from tests.serve.live import ROOT, Live
from tests.waiting import wait_until


class StandsStill:
    "A stream that takes nothing until it is let go."

    def __init__(self) -> None:
        import threading

        self.going, self.text = threading.Event(), ""

    def write(self, text: str) -> None:
        self.going.wait(20)
        self.text += text

    def flush(self) -> None:
        pass


def test_lines_that_find_no_place_are_dropped_and_counted(monkeypatch):
    stream = StandsStill()
    monkeypatch.setattr(sys, "stderr", stream)
    writer = logs.LineWriter()
    for i in range(3 * logs._WAITING):
        writer.write(f'{{"line": {i}}}\n')
    writer.flush(timeout=0)
    stream.going.set()
    wait_until(lambda: "dropped" in stream.text and stream.text.endswith("\n"), "what was dropped is said")
    lines = [json.loads(line) for line in stream.text.splitlines()]
    dropped = sum(line["count"] for line in lines if "count" in line)
    assert dropped + len([line for line in lines if "line" in line]) == 3 * logs._WAITING
    assert dropped >= logs._WAITING


def test_a_standard_error_that_is_not_read_stops_neither_answers_nor_the_end(home):
    service = Live(home, {})
    reading, writing = os.pipe()
    process = subprocess.Popen([sys.executable, "-m", "serve"], cwd=ROOT, env=service.environ, stderr=writing)
    try:
        wait_until(lambda: answers(service.url), "the service answers")
        with httpx.Client(base_url=service.url, timeout=20, headers={"x-request-id": "x" * 128}) as client:
            for _ in range(600):
                assert client.post("/predict", json=SCHEMA.example).status_code == 200
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(20)
        os.close(reading)
        os.close(writing)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live").status_code == 200
    except httpx.TransportError:
        return False


def test_half_a_character_does_not_keep_a_line_from_being_written(capfd):
    import logging

    record = logging.LogRecord("serve", logging.ERROR, "", 0, "half \ud800", None, None)
    assert json.loads(logs.JsonLines().format(record))["event"] == "half ?"
