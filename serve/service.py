"""The parts of the running service, and what they say together about its state."""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from litestar import Litestar

from iris_nb.audit.history import Window
from iris_nb.audit.log import AuditLog
from iris_nb.schema import shown
from serve.auth import Keys
from serve.batching import Engine
from serve.body import Bodies
from serve.counters import Shelf
from serve.errors import InvalidInput, LogDown, Unknown
from serve.history import logged
from serve.logs import RequestLines
from serve.metrics import Metrics
from serve.reloading import Champion
from serve.schemas import Fault, Health, Logged, Page
from serve.settings import Settings
from serve.watched import Watched

log = logging.getLogger("serve")


class Service:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.keys = Keys(settings)
        self.bodies = Bodies(settings.max_body, settings.body_seconds)
        shelf = Shelf(settings.counts) if settings.workers > 1 else None
        self.metrics = Metrics(self.state, shelf)
        self.metrics.registry.register(Watched(settings.home / "watch.json"))
        audit = partial(AuditLog.open, settings.audit_url, sync=settings.audit_sync, timeout=settings.audit_patience)
        self.engine = Engine(audit, self.metrics, settings.queue)
        self.champion = Champion(settings.bundles, self.engine)
        self.lines = RequestLines(quiet=settings.log_level == "warning")
        self.since = time.monotonic()

    @asynccontextmanager
    async def run(self, app: Litestar) -> AsyncIterator[None]:
        "Everything between the first and the last request."
        self.champion.check()
        self.engine.start()
        gc.collect()
        gc.freeze()  # what is there now stays, and need not be looked through for garbage again and again
        gc.set_threshold(20_000, 20, 20)  # a batch makes many thousand values, and hardly ever a cycle
        watch = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
            await self.engine.close()
            self.lines.flush()

    async def _watch(self) -> None:
        "Look after the champion and the log, now and then."
        while True:
            await asyncio.sleep(self.settings.watch_seconds)
            self.bodies.hurry()
            try:
                await asyncio.to_thread(self.champion.check)
                self.metrics.publish()
                if self.engine.audit_fault:
                    await asyncio.to_thread(self.engine.check_audit)
            except Exception:
                log.exception("the watch failed, and goes on")

    def faults(self) -> list[str]:
        "Why no prediction can be answered now, one sentence each; none when one can."
        found = [] if self.engine.model else [self.engine.no_model]
        if self.engine.audit_fault:
            found.append(f"The prediction log can't be written: {self.engine.audit_fault}")
        return [*found, "The service is closing."] if self.engine.closing else found

    def log(self) -> AuditLog:
        "The audit log; raises LogDown where it is not open."
        if self.engine.audit is None:
            raise LogDown(self.engine.audit_fault, retry_after=1)
        return self.engine.audit

    async def history(self, window: Window, limit: int, before: str | None) -> Page:
        "A page of the audit log; raises InvalidInput where the cursor is none."
        try:
            found = await asyncio.to_thread(self.log().page, window, limit, before)
        except ValueError as error:
            raise InvalidInput(str(error), [Fault("", "before", "`next` of the page before", shown(before))]) from error
        return Page([logged(row) for row in found.rows], found.next)

    async def logged(self, id: str) -> Logged:
        "One prediction as the log keeps it; raises Unknown."
        if (row := await asyncio.to_thread(self.log().get, id)) is None:
            raise Unknown(f"The audit log holds no prediction with the id {id[:80]!r}.")
        return logged(row)

    def health(self) -> Health:
        state, faults = self.state(), self.faults()
        return Health(
            status="unavailable" if faults else "degraded" if state["model_fault"] else "healthy",
            model="none" if self.engine.model is None else "ok",
            model_name=state["model_name"],
            model_version=state["model_version"],
            database="unavailable" if state["audit_fault"] else "ok",
            uptime_seconds=state["uptime_seconds"],
            faults=faults or [f for f in (state["model_fault"],) if f],
        )

    def state(self) -> dict[str, Any]:
        "What is true now, for health and metrics."
        card = self.engine.model.card if self.engine.model else None
        return {
            "ready": not self.faults(),
            "model_name": card and card.name,
            "model_version": card and card.version,
            "model_fault": self.champion.fault,
            "audit_fault": self.engine.audit_fault,
            "waiting_rows": self.engine.waiting,
            "uptime_seconds": round(time.monotonic() - self.since, 1),
        }
