"""What the service says about itself: JSON, one object a line, on standard error."""

import asyncio
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec

EXTRAS = ("request_id", "fault", "bundle")
encode = msgspec.json.Encoder().encode_lines


def stamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class JsonLines(logging.Formatter):
    "A log record as one line of JSON."

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {"time": stamp(), "level": record.levelname.lower(), "event": record.getMessage()}
        line |= {name: getattr(record, name) for name in EXTRAS if hasattr(record, name)}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def config(level: str) -> dict[str, Any]:
    "The configuration of Python's logging, for this service and the server below it."
    said = {"handlers": ["lines"], "level": level.upper(), "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonLines}},
        "handlers": {"lines": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "loggers": {"serve": said, "_granian": said | {"level": "WARNING"}},
    }


class Line(msgspec.Struct, frozen=True, gc=False):
    "One request."

    time: str
    level: str
    event: str
    request_id: str
    method: str
    path: str
    status: int
    ms: float
    caller: str | None


class RequestLines:
    "One line for each request, written a tenth of a second later with its neighbours: one write for all."

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.lines: list[Line] = []
        self.now = ""

    def add(self, request_id: str, method: str, path: str, status: int, ms: float, caller: str | None) -> None:
        if self.quiet and status < 500:
            return
        if not self.lines:
            self.now = stamp()
            asyncio.get_running_loop().call_later(0.1, self.flush)
        level = "info" if status < 500 else "error"
        self.lines.append(Line(self.now, level, "request", request_id, method, path, status, round(ms, 3), caller))

    def flush(self) -> None:
        lines, self.lines = self.lines, []
        with suppress(OSError):  # a full disk must not keep anybody from an answer
            sys.stderr.write(encode(lines).decode())
            sys.stderr.flush()
