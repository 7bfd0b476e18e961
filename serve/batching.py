"""Requests that arrive together share one run of the model and one commit; nobody hears before the commit."""

import asyncio
import logging
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import numpy as np
from msgspec import UNSET
from uuid_utils import uuid7

from iris_nb.audit.log import AuditError, AuditLog, Entry, ids_of
from iris_nb.predict.predictor import Predictor
from serve.errors import Busy, Closing, LogDown, NoModel, without_places
from serve.history import stamp_of
from serve.metrics import Metrics
from serve.parsing import Numbers
from serve.schemas import Answer

LINGER = 0.005  # seconds at most
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
        self.no_model = "No model was promoted yet: run `make train`, and it is picked up by itself."
        self.audit: AuditLog | None = None
        self.audit_fault = "The prediction log is not open yet."
        self.rows_per_second, self.group_seconds = 1000.0, 0.001  # as lately seen
        self.closing = False
        # The event loop alone touches these.
        self.waiting = 0  # rows, those of the group at work among them
        self.jobs: deque[Job] = deque()
        self.expected = 1  # requests that the next group is likely to find
        self.linger: asyncio.Handle | None = None  # while a group waits for them
        self.idle = asyncio.Event()
        self.idle.set()
        self.groups: queue.SimpleQueue[list[Job]] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, name="engine")

    def start(self) -> None:
        "Open the log and begin to work; called on the event loop."
        self.loop = asyncio.get_running_loop()
        self.check_audit()
        self.thread.start()

    async def close(self) -> None:
        "Answer everything accepted, then close the log."
        self.closing = True
        await self.idle.wait()
        self.groups.put([])
        await asyncio.to_thread(self.thread.join)
        if self.audit:
            self.audit.close()

    async def predict(self, rows: list[Numbers], call: Call, alpha: float | None = None) -> Answer:
        "Answer rows that were checked; raises Busy, Closing, NoModel or LogDown."
        if self.closing:
            raise Closing("The service is closing; ask again.", retry_after=1)
        self.answering()
        if self.waiting and self.waiting + len(rows) > self.most_waiting:
            wait = math.ceil(self.waiting / self.rows_per_second)
            raise Busy(f"{self.waiting:,} rows are waiting already; ask again in {wait} s.", retry_after=wait)
        answer: asyncio.Future[Answer] = self.loop.create_future()
        self.waiting += len(rows)
        self.jobs.append(Job(call, rows, alpha, answer))
        if self.idle.is_set():
            self._gather()
        elif self.linger and len(self.jobs) == self.expected:
            self.linger.cancel()
            self.linger = self.loop.call_soon(self._begin)
        return await answer

    def answering(self) -> Predictor:
        "The model that answers; raises NoModel."
        if self.model is None:
            raise NoModel(self.no_model, retry_after=5)
        return self.model

    def _gather(self) -> None:
        """Begin a group, or wait a moment for the requests that are likely to come.

        Callers who have just been answered tend to ask again at once, and a commit costs far more than a row.
        So a group waits until as many have asked as lately did at a time, but not longer than it would take to
        answer those who are there. A lone caller does not wait: it is all that is expected.
        """
        self.idle.clear()
        if len(self.jobs) < self.expected:
            self.linger = self.loop.call_later(min(self.group_seconds, LINGER), self._begin)
        else:
            self.linger = self.loop.call_soon(self._begin)  # after those that arrived together with this one

    def _begin(self) -> None:
        "Give the thread every request that waits."
        self.linger = None
        group: list[Job] = []
        rows = 0
        while self.jobs and rows < self.most_in_group:
            group.append(job := self.jobs.popleft())
            rows += len(job.rows)
        self.groups.put(group)

    def _deliver(self, group: list[Job], answers: list[Answer] | Exception) -> None:
        "Tell the callers, and begin with those who have come meanwhile."
        self.expected = len(group) + len(self.jobs)
        for i, job in enumerate(group):
            self.waiting -= len(job.rows)
            if job.answer.done():  # the caller left
                continue
            if isinstance(answers, Exception):
                job.answer.set_exception(answers)
            else:
                job.answer.set_result(answers[i])
        if self.jobs:
            self._gather()
        else:
            self.idle.set()

    def _work(self) -> None:
        "The thread: one group after the other, until there comes an empty one."
        while group := self.groups.get():
            begin = time.perf_counter()
            try:
                answers: list[Answer] | Exception = self._answer(group, self.answering())
            except Exception as error:
                answers = error
            self.group_seconds = time.perf_counter() - begin
            speed = sum(len(job.rows) for job in group) / self.group_seconds
            self.rows_per_second += 0.1 * (speed - self.rows_per_second)
            self.loop.call_soon_threadsafe(self._deliver, group, answers)

    def _answer(self, group: list[Job], model: Predictor) -> list[Answer]:
        rows = chain.from_iterable(row for job in group for row in job.rows)
        X = np.fromiter(rows, dtype=np.float64).reshape(-1, len(model.schema.names))
        P = model.probabilities(X)
        labels, probabilities, confidences = model.labels(P), P.tolist(), P.max(axis=1).tolist()
        time_us, now = time.time_ns() // 1000, time.perf_counter()
        stamp = stamp_of(time_us)
        answers: list[Answer] = []
        entries: list[Entry] = []
        at = 0
        for job in group:
            part = slice(at, at := at + len(job.rows))
            answer = Answer(
                predictions=labels[part],
                probabilities=probabilities[part],
                model_name=model.card.name,
                model_version=model.card.version,
                processing_time_ms=round(1000 * (now - job.call.start), 3),
                timestamp=stamp,
                prediction_ids=ids_of(str(uuid7()), len(job.rows)),
                prediction_sets=UNSET if job.alpha is None else model.sets(P[part], job.alpha),
            )
            answers.append(answer)
            entries.append(entry_of(job, answer, time_us, confidences[part]))
        self._commit(entries)
        self.metrics.group(labels, confidences, time.perf_counter() - now)
        return answers

    def _commit(self, entries: list[Entry]) -> None:
        try:
            if self.audit is None:
                raise AuditError(self.audit_fault)
            self.audit.append(entries)
            self.audit_fault = ""
        except AuditError as error:
            self.metrics.failure()
            if not self.audit_fault:
                log.error("the prediction log can't be written", extra={"fault": str(error)})
            self.audit_fault = without_places(error)
            raise LogDown(self.audit_fault, retry_after=1) from error

    def check_audit(self) -> None:
        "Find out whether the log can be written, and open it where it is not open yet."
        try:
            if self.audit is None:
                self.audit = self.open_audit()
            else:
                self.audit.append([])
            self.audit_fault = ""
        except AuditError as error:
            self.audit_fault = without_places(error)


def entry_of(job: Job, answer: Answer, time_us: int, confidences: list[float]) -> Entry:
    "What the log keeps of one request."
    return Entry(
        id=answer.prediction_ids[0],
        request_id=job.call.request_id,
        time=time_us,
        model_name=answer.model_name,
        model_version=answer.model_version,
        duration_ms=answer.processing_time_ms,
        caller=job.call.caller,
        features=job.rows,
        labels=answer.predictions,
        confidences=confidences,
        probabilities=answer.probabilities,
    )
