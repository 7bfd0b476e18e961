"""The audit log as the service uses it: opened when it can be, checked, and what is wrong with it in a sentence."""

import logging
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from iris_nb.audit.anchor import note_anchor
from iris_nb.audit.log import AuditError, AuditLog, AuditReplaced, Entry
from serve.errors import LogDown, RowRefused, strip_paths
from serve.metrics import Metrics

log = logging.getLogger("serve")


_ANCHOR_SECONDS = 3600.0


class AuditTrail:
    "Opens, checks and writes the audit log; `fault` says why it can't be written, and is empty while it can."

    def __init__(self, open_log: Callable[[], AuditLog], metrics: Metrics, anchor: Path | None = None) -> None:
        self._open, self._metrics, self._anchor = open_log, metrics, anchor
        self._log: AuditLog | None = None
        self._anchored = -_ANCHOR_SECONDS  # when the ends of the chains were last noted; before the first, long ago
        self.fault = "The audit log is not open yet."

    @property
    def log(self) -> AuditLog:
        "The open log; raises LogDown where it is not open."
        if self._log is None:
            raise LogDown(self.fault, retry_after=1)
        return self._log

    def commit(self, entries: list[Entry]) -> None:
        "Write a group in one transaction; raise RowRefused where a row is at fault, LogDown where the log is."
        try:
            self.log.append(entries)
            self.fault = ""
            return
        except AuditError as error:
            # The error is let go here: its frames hold the cursor, and with it the transaction, that failed.
            message, refused = str(error), _blames_rows(error)
        self._metrics.failure()
        if refused or not self.fault:
            log.error("the audit log can't be written", extra={"fault": message})
        if refused:
            raise RowRefused(strip_paths(message), retry_after=1)
        self.fault = strip_paths(message)
        raise LogDown(self.fault, retry_after=1)

    def check(self) -> None:
        "Find out whether the log can be written, and open it where it is not open yet."
        try:
            if self._log is None:
                self._log = self._open()
            self._log.append([])
            self.fault = ""
        except AuditError as error:
            self.fault = strip_paths(error)

    def watch(self) -> None:
        "Check a log that could not be written, or whose file is gone or another one; a look at its file otherwise."
        if self.fault or self._is_replaced():
            self.check()
        self.anchor()

    def _is_replaced(self) -> bool:
        guard = self._log.database.guard if self._log else None
        try:
            if guard:
                guard.check()
        except AuditReplaced as error:
            log.error("the audit log was replaced", extra={"fault": str(error)})
            return True
        return False

    def note(self, kind: str, subject: str = "", actor: str | None = None, **detail: Any) -> None:
        "Write an event. A log that can't take it stops nothing: the program's own log says so."
        if self._log and not self.fault:
            about = partial(_write_event, self._log, kind, subject, actor, detail)
            _try("an event was not written to the audit log", about)

    def anchor(self, now: bool = False) -> None:
        "Note the ends of the chains elsewhere, once an hour or `now`; what can't be noted stops nothing."
        if self._anchor and self._log and (now or time.monotonic() - self._anchored >= _ANCHOR_SECONDS):
            self._anchored = time.monotonic()
            _try("the audit log was not anchored", partial(note_anchor, self._log.database, self._anchor))

    def close(self) -> None:
        "Close the log, with the event and the anchor of it; what was committed stays."
        if self._log:
            if not self.fault:
                self.watch()  # what a file that was moved away lacks is written to it
            if not self.fault:
                self.note("service.stop", pid=os.getpid())
                self.anchor(now=True)
            self._log.close()


def _write_event(opened: AuditLog, kind: str, subject: str, actor: str | None, detail: dict[str, Any]) -> None:
    opened.events.append(kind, subject, actor, **detail)
    opened.database.engine.dispose()  # the writer alone keeps the files open, so that it notices their loss


def _try(complaint: str, do: Callable[[], object]) -> None:
    "Do what the service can go on without."
    try:
        do()
    except Exception as error:  # whatever it is, the service goes on
        log.error(complaint, extra={"fault": str(error)})


def _blames_rows(error: AuditError) -> bool:
    "Return whether a database refused what is in a row (DB-API 2.0), and not to work at all."
    kinds = {kind.__name__ for kind in type(error.__cause__).__mro__}
    return bool(kinds & {"IntegrityError", "DataError"})
