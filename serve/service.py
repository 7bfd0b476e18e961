"""The parts of the running service, and what they say together about its state."""

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from multiprocessing.connection import wait
from typing import Any

from litestar import Litestar

from iris_nb import __version__
from iris_nb.audit.log import AuditLog
from iris_nb.bundle import Card
from iris_nb.lookup.sources import Sources
from iris_nb.request import request_schema
from iris_nb.schema import Schema
from iris_nb.table import SCHEMA
from serve.audit import AuditTrail
from serve.auth import Keys
from serve.batching import Batcher
from serve.body import BodyReader
from serve.counters import SharedCounters
from serve.logs import RequestLines, writer
from serve.lookups import FeatureLookup, Rows
from serve.metrics import Metrics, WatchReport
from serve.parsing import BodyParser
from serve.reloading import ModelReloader
from serve.schemas import Health
from serve.settings import Settings

log = logging.getLogger("serve")


class Service:
    "Everything that the routes use."

    def __init__(self, settings: Settings, schema: Schema = SCHEMA) -> None:
        self.settings, self.schema, self.keys = settings, schema, Keys(settings)
        self.asked = request_schema(schema)  # what callers send
        self.parser = BodyParser(self.asked)
        self.bodies = BodyReader(settings.max_body, settings.body_seconds)
        shared = SharedCounters(settings.counts) if settings.workers > 1 else None
        self.metrics = Metrics(self.state, shared)
        self.metrics.registry.register(WatchReport(settings.home / "watch.json"))
        self.audit = AuditTrail(partial(_open_log, settings, schema), self.metrics, settings.audit_anchor)
        self.reloader = ModelReloader(settings.bundles, schema, partial(_tell_model, self.audit))
        self.batcher = Batcher(self.reloader.current, self.audit, self.metrics, settings.queue)
        lookup = FeatureLookup(partial(_open_sources, settings, schema), settings.features_seconds, settings.queue)
        self.rows = Rows(self.batcher, lookup if self.asked is not schema else None)
        self.lines = RequestLines(quiet=settings.log_level == "warning")
        self.since = time.monotonic()

    @asynccontextmanager
    async def run(self, app: Litestar) -> AsyncIterator[None]:
        "Start before the first request, and end after the last."
        _end_with_parent()
        self.reloader.check()
        self.audit.check()
        self.rows.check()
        _tell_start(self.audit, self.reloader)
        self.batcher.start()
        _calm_garbage_collector()
        watch = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
            await self.batcher.close()
            self.audit.close()
            self.rows.close()
            self.lines.flush()
            writer.flush()

    async def _watch(self) -> None:
        "Look after bodies, champion, counts and log, now and then; one that fails keeps none of the others waiting."
        while True:
            await asyncio.sleep(self.settings.watch_seconds)
            self.bodies.cancel_slow()
            for duty in (self.reloader.check, self.metrics.publish, self.audit.watch, self.rows.check):
                try:
                    await asyncio.to_thread(duty)
                except Exception:
                    log.exception("the watch failed, and goes on")

    def faults(self) -> list[str]:
        "Return why no prediction can be answered now, one sentence each; none when one can."
        found = [] if self.reloader.model else [self.reloader.why_none]
        if self.audit.fault:
            found.append(f"The audit log can't be written: {self.audit.fault}")
        if self.rows.fault:
            found.append(f"Features can't be looked up: {self.rows.fault}")
        return [*found, "The service is closing."] if self.batcher.closing else found

    def health(self) -> Health:
        "Return whether predictions are answered, and why not."
        return _health(self.state(), self.faults())

    def state(self) -> dict[str, Any]:
        "Return what is true now, for health and metrics."
        card = self.reloader.model.card if self.reloader.model else None
        return {
            "ready": not self.faults(),
            "model_name": card and card.name,
            "model_version": card and card.version,
            "model_fault": self.reloader.fault,
            "audit_fault": self.audit.fault,
            "waiting_rows": self.batcher.waiting,
            "uptime_seconds": round(time.monotonic() - self.since, 1),
        }


def _health(state: dict[str, Any], faults: list[str]) -> Health:
    return Health(
        status="unavailable" if faults else "degraded" if state["model_fault"] else "healthy",
        model="none" if state["model_name"] is None else "ok",
        model_name=state["model_name"],
        model_version=state["model_version"],
        database="unavailable" if state["audit_fault"] else "ok",
        uptime_seconds=state["uptime_seconds"],
        faults=faults or [f for f in (state["model_fault"],) if f],
    )


def _tell_start(audit: AuditTrail, reloader: ModelReloader) -> None:
    "Write the event of the start."
    card = reloader.model.card if reloader.model else None
    about = {"version": card.version, "bundle": reloader.folder} if card else {}
    audit.note("service.start", card.name if card else "", program=__version__, pid=os.getpid(), **about)


def _tell_model(audit: AuditTrail, card: Card, folder: str) -> None:
    "Write the event of another model's taking over."
    audit.note("service.reload", card.name, version=card.version, bundle=folder, pid=os.getpid())


def _open_sources(settings: Settings, schema: Schema) -> Sources:
    return Sources(schema, settings.home / "features.db", settings.features_url, settings.features_seconds)


def _open_log(settings: Settings, schema: Schema) -> AuditLog:
    return AuditLog.open(settings.audit_url, schema, settings.audit_sync, timeout=settings.audit_timeout)


def _calm_garbage_collector() -> None:
    gc.collect()
    gc.freeze()  # what is there now stays, and need not be looked through for garbage again and again
    gc.set_threshold(20_000, 20, 20)  # a batch makes many thousand values, and hardly ever a cycle


def _end_with_parent() -> None:
    "End this worker when the process that started it is gone: nothing else would end it, or renew its settings."
    if (parent := multiprocessing.parent_process()) is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        log.error("the main process is gone: this worker ends")
        while True:  # granian loses a signal that arrives just before its worker serves
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
