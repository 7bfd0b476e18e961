"""Requests that arrive together share one run of the model and one commit; nobody hears before the commit."""

import asyncio
import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from msgspec import UNSET
from uuid_utils import uuid7

from iris_nb.audit import AuditError, AuditLog, Entry
from iris_nb.predict import Predictor
from serve.errors import Busy, Closing, LogDown, NoModel
from serve.metrics import Metrics
from serve.reading import Numbers
from serve.wire import Answer

log = logging.getLogger("serve")


@dataclass(frozen=True, slots=True)
class Call:
    "Who asks, and since when."

    request_id: str
    caller: str | None
    start: float  # time.perf_counter() at arrival


@dataclass(frozen=True, slots=True)
class Job:
    "The rows of one request on their way through the engine."

    call: Call
    rows: list[Numbers]
    alpha: float | None
    time: int  # microseconds since 1970, UTC
    answer: asyncio.Future[Answer]


class Engine:
    """One thread takes every request that waits, answers all of them, commits once, and tells the event loop.

    What holds: an answer is given only after its rows are committed; a group is answered by one model;
    the rows that wait are bounded; everything accepted is answered before `close` returns.
    """

    def __init__(
        self, audit: Callable[[], AuditLog], metrics: Metrics, most_waiting: int, most_in_group: int = 10_000
    ) -> None:
        self.open_audit, self.metrics = audit, metrics
        self.most_waiting, self.most_in_group = most_waiting, most_in_group
        self.model: Predictor | None = None
        self.audit: AuditLog | None = None
        self.audit_fault = "The prediction log is not open yet."
        self.waiting = 0  # rows; touched by the event loop alone
        self.rows_per_second = 1000.0  # as lately seen
        self.closing = False
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, name="engine")

    def start(self) -> None:
        "Open the log and begin to work; called on the event loop."
        self.loop = asyncio.get_running_loop()
        self.check_audit()
        self.thread.start()

    async def close(self) -> None:
        "Answer everything accepted, then close the log."
        self.closing = True
        self.jobs.put(None)
        await asyncio.to_thread(self.thread.join)
        if self.audit:
            self.audit.close()

    async def predict(self, rows: list[Numbers], call: Call, alpha: float | None = None) -> Answer:
        "Answer rows that were checked; raises Busy, Closing, NoModel or LogDown."
        if self.closing:
            raise Closing("The service is closing; ask again.", retry_after=1)
        if self.model is None:
            raise NoModel("No model was promoted yet: run `make train`, and it is picked up by itself.", retry_after=5)
        if self.waiting and self.waiting + len(rows) > self.most_waiting:
            wait = math.ceil(self.waiting / self.rows_per_second)
            raise Busy(f"{self.waiting:,} rows are waiting already; ask again in {wait} s.", retry_after=wait)
        answer: asyncio.Future[Answer] = self.loop.create_future()
        self.waiting += len(rows)
        self.jobs.put(Job(call, rows, alpha, time.time_ns() // 1000, answer))
        return await answer

    def check_audit(self) -> None:
        "Find out whether the log can be written, and open it where it is not open yet."
        try:
            if self.audit is None:
                self.audit = self.open_audit()
            else:
                self.audit.append([])
            self.audit_fault = ""
        except AuditError as error:
            self.audit_fault = str(error)

    def _work(self) -> None:
        while group := self._next_group():
            begin = time.perf_counter()
            try:
                answers: list[Answer] | Exception = self._answer(group)
            except Exception as error:
                answers = error
            rows = sum(len(job.rows) for job in group)
            self.rows_per_second += 0.1 * (rows / (time.perf_counter() - begin) - self.rows_per_second)
            self.loop.call_soon_threadsafe(self._deliver, group, rows, answers)

    def _next_group(self) -> list[Job]:
        "Every job that waits, at least one; none when the engine closes."
        group: list[Job] = []
        rows = 0
        while not group or (rows < self.most_in_group and self.jobs.qsize()):
            if (job := self.jobs.get()) is None:
                self.jobs.put(None)  # for the next call
                break
            group.append(job)
            rows += len(job.rows)
        return group

    def _answer(self, group: list[Job]) -> list[Answer]:
        model = self.model
        assert model is not None
        P = model.probabilities(np.array([row for job in group for row in job.rows], dtype=np.float64))
        labels, probabilities = model.labels(P), P.tolist()
        answers: list[Answer] = []
        entries: list[Entry] = []
        now, at = time.perf_counter(), 0
        for job in group:
            end = at + len(job.rows)
            answer = answer_of(job, model, now, labels[at:end], probabilities[at:end], P[at:end])
            answers.append(answer)
            entries += entries_of(job, answer)
            at = end
        self._commit(entries)
        self.metrics.group(labels, P.max(axis=1), time.perf_counter() - now)
        return answers

    def _commit(self, entries: list[Entry]) -> None:
        try:
            if self.audit is None:
                raise AuditError(self.audit_fault)
            self.audit.append(entries)
            self.audit_fault = ""
        except AuditError as error:
            self.metrics.audit_failures += 1
            if not self.audit_fault:
                log.error("the prediction log can't be written", extra={"fault": str(error)})
            self.audit_fault = str(error)
            raise LogDown(self.audit_fault, retry_after=1) from error

    def _deliver(self, group: list[Job], rows: int, answers: list[Answer] | Exception) -> None:
        self.waiting -= rows
        for i, job in enumerate(group):
            if job.answer.done():  # the caller left
                continue
            if isinstance(answers, Exception):
                job.answer.set_exception(answers)
            else:
                job.answer.set_result(answers[i])


def answer_of(
    job: Job, model: Predictor, now: float, labels: list[str], probabilities: list[list[float]], P: np.ndarray
) -> Answer:
    return Answer(
        labels,
        probabilities,
        model.card.name,
        model.card.version,
        round(1000 * (now - job.call.start), 3),
        datetime.fromtimestamp(job.time / 1e6, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        [str(uuid7()) for _ in labels],
        UNSET if job.alpha is None else model.sets(P, job.alpha),
    )


def entries_of(job: Job, answer: Answer) -> list[Entry]:
    return [
        Entry(
            id=key,
            request_id=job.call.request_id,
            time=job.time,
            features=row,
            label=label,
            confidence=max(p),
            probabilities=tuple(p),
            model_name=answer.model_name,
            model_version=answer.model_version,
            duration_ms=answer.processing_time_ms,
            caller=job.call.caller,
        )
        for key, row, label, p in zip(
            answer.prediction_ids, job.rows, answer.predictions, answer.probabilities, strict=True
        )
    ]
