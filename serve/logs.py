"""What the service says about itself: JSON, one object a line, on standard error."""

import asyncio
import logging
import os
import queue
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec

_EXTRAS = ("request_id", "fault", "bundle")
_encode = msgspec.json.Encoder().encode_lines
_WAITING = 1000  # writes at most that wait for a standard error that stands still


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class LineWriter:
    """Writes lines from a thread of its own, through a bounded queue.

    Standard error may stand still: a terminal that was stopped, a pipe that is not read. The service must not stand
    still with it, so what finds no place in the queue is dropped, and counted in a line once there is room.
    """

    def __init__(self) -> None:
        self._pid = 0  # of the process whose thread writes: a fork has no threads
        self._dropped = 0

    def write(self, text: str) -> None:
        "Hand over one or more whole lines; return at once."
        if self._pid != os.getpid():
            self._pid, self._queue = os.getpid(), queue.Queue[str | None](_WAITING)
            self._thread = threading.Thread(target=self._run, name="log lines", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait(text)
        except queue.Full:
            self._dropped += text.count("\n")

    def flush(self, timeout: float = 1.0) -> None:
        "Wait until all is written, but not for a standard error that stands still."
        end = time.monotonic() + timeout
        while self._pid == os.getpid() and self._queue.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.005)

    def _run(self) -> None:
        while True:
            text = self._queue.get()
            with suppress(OSError, ValueError):  # a full disk, or a closed standard error: nothing can be said
                _write_all(text or "")
                if self._dropped:
                    dropped, self._dropped = self._dropped, 0
                    line = {"time": _now(), "level": "warning", "event": "log lines were dropped", "count": dropped}
                    _write_all(msgspec.json.encode(line).decode() + "\n")
            self._queue.task_done()


def _write_all(text: str) -> None:
    "Write to standard error; past Python's buffer, whose lock would keep a process from ending."
    if sys.stderr is not sys.__stderr__ or sys.stderr is None:
        sys.stderr.write(text)
        sys.stderr.flush()
        return
    data = memoryview(text.encode(errors="replace"))
    while data:
        try:
            data = data[os.write(sys.stderr.fileno(), data) :]
        except BlockingIOError:
            time.sleep(0.05)


writer = LineWriter()


class _LineHandler(logging.Handler):
    "Sends log records to the writer, each as one line of JSON."

    def emit(self, record: logging.LogRecord) -> None:
        "Write one record."
        writer.write(self.format(record) + "\n")


class JsonLines(logging.Formatter):
    "A log record as one line of JSON."

    def format(self, record: logging.LogRecord) -> str:
        "Return the line, without its end."
        line: dict[str, Any] = {"time": _now(), "level": record.levelname.lower(), "event": record.getMessage()}
        line |= {name: getattr(record, name) for name in _EXTRAS if hasattr(record, name)}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(_encodable(line)).decode()


def _encodable(line: dict[str, Any]) -> dict[str, Any]:
    "Return the line without lone surrogates, which are in no encoding."
    return {k: v.encode(errors="replace").decode() if isinstance(v, str) else v for k, v in line.items()}


def config(level: str) -> dict[str, Any]:
    "Return the configuration of Python's logging, for this service and the server below it."
    ours = {"handlers": ["lines"], "level": level.upper(), "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonLines}},
        "handlers": {"lines": {"()": _LineHandler, "formatter": "json"}},
        "loggers": {"serve": ours, "_granian": ours | {"level": "WARNING"}},
    }


class _RequestLine(msgspec.Struct, frozen=True, gc=False):
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
        self._lines: list[_RequestLine] = []
        self._now = ""

    def add(self, request_id: str, method: str, path: str, status: int, ms: float, caller: str | None) -> None:
        "Note one request; with `quiet` only one that failed for a reason of ours."
        if self.quiet and status < 500:
            return
        if not self._lines:
            self._now = _now()
            asyncio.get_running_loop().call_later(0.1, self.flush)
        level = "info" if status < 500 else "error"
        self._lines.append(
            _RequestLine(self._now, level, "request", request_id, method, path, status, round(ms, 3), caller)
        )

    def flush(self) -> None:
        "Write what was noted."
        lines, self._lines = self._lines, []
        if lines:
            writer.write(_encode(lines).decode())
