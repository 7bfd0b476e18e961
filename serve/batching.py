"""Dynamic batching with group commit: requests that arrive together share one run of the model and one commit."""

import asyncio
import logging
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from msgspec import UNSET
from uuid_utils import uuid7

from iris_nb.audit.log import Entry, ids_of
from iris_nb.predict.predictor import Predictor
from iris_nb.schema import Schema, encode_columns
from iris_nb.session import Floats
from serve.audit import AuditTrail
from serve.errors import Busy, Closing, LogDown, ModelFailed, NoModel, RequestError
from serve.metrics import Metrics
from serve.parsing import Row
from serve.schemas import Answer, rfc3339

_LONGEST_WAIT = 0.005  # seconds for the requests that are likely to come
_MAX_GROUP = 10_000  # rows, but for one request that has more
log = logging.getLogger("serve")


class RequestContext(NamedTuple):
    "A request: who asks, since when, and what was sent."

    request_id: str
    caller: str | None
    start: float  # time.perf_counter() at arrival
    body: bytes = b""
    query: bytes = b""


class PendingRequest(NamedTuple):
    "The rows of one request that waits for its answer."

    context: RequestContext
    rows: list[Row]
    alpha: float | None
    answer: asyncio.Future[Answer]


_Deliver = Callable[[list[PendingRequest], list[Answer | Exception]], None]


class Batcher:
    """Answers requests in groups: one model run, one commit, then all answers.

    What holds: an answer is given only after its rows are committed; a group is answered by one model; the rows that
    wait are bounded; a request that can't be logged fails alone; everything accepted is answered before `close` ends.
    """

    def __init__(self, model: Callable[[], Predictor], audit: AuditTrail, metrics: Metrics, max_waiting: int) -> None:
        self._model, self._max_waiting = model, max_waiting  # rows
        self._worker = _Worker(model, audit, metrics, self._deliver_soon)
        self.closing, self.waiting = False, 0  # rows, those of the group at work among them
        self._pending: deque[PendingRequest] = deque()
        self._expected = 1  # requests that the next group is likely to find
        self._timer: asyncio.Handle | None = None  # while a group waits for them
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self) -> None:
        "Begin to work; called on the event loop."
        self._loop = asyncio.get_running_loop()
        self._worker.start()

    async def close(self) -> None:
        "Answer everything accepted, and accept no more."
        self.closing = True
        await self._idle.wait()
        self._worker.groups.put([])
        await asyncio.to_thread(self._worker.join)

    async def predict(self, rows: list[Row], context: RequestContext, alpha: float | None = None) -> Answer:
        "Answer rows that were checked; raise Busy, Closing, NoModel, ModelFailed or LogDown."
        if self.closing:
            raise Closing("The service is closing; ask again.", retry_after=1)
        self._model()
        if self.waiting and self.waiting + len(rows) > self._max_waiting:
            wait = math.ceil(self.waiting / self._worker.rows_per_second)
            raise Busy(f"{self.waiting:,} rows are waiting already; ask again in {wait} s.", retry_after=wait)
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self.waiting += len(rows)
        self._pending.append(PendingRequest(context, rows, alpha, answer))
        if self._idle.is_set():
            self._schedule()
        elif self._timer and len(self._pending) == self._expected:
            self._timer.cancel()
            self._timer = self._loop.call_soon(self._dispatch)
        return await answer

    def _schedule(self) -> None:
        "Begin a group, or wait a moment for the requests that are likely to come."
        # Callers who have just been answered tend to ask again at once, and a commit costs far more than a row. So a
        # group waits for as many requests as lately came together, but not longer than it would take to answer those
        # who are there. A lone caller does not wait: no other is expected.
        self._idle.clear()
        if len(self._pending) < self._expected:
            self._timer = self._loop.call_later(min(self._worker.group_seconds, _LONGEST_WAIT), self._dispatch)
        else:
            self._timer = self._loop.call_soon(self._dispatch)  # after those that arrived together with this one

    def _dispatch(self) -> None:
        "Give the thread the requests that wait, up to the rows of a group."
        self._timer = None
        group: list[PendingRequest] = []
        rows = 0
        while self._pending and rows < _MAX_GROUP:
            group.append(request := self._pending.popleft())
            rows += len(request.rows)
        self._worker.groups.put(group)

    def _deliver_soon(self, group: list[PendingRequest], answers: list[Answer | Exception]) -> None:
        self._loop.call_soon_threadsafe(self._deliver, group, answers)

    def _deliver(self, group: list[PendingRequest], answers: list[Answer | Exception]) -> None:
        "Hand the answers to the callers, and begin with the requests that have arrived meanwhile."
        self._expected = len(group) + len(self._pending)
        self.waiting -= sum(len(request.rows) for request in group)
        _hand_out(group, answers)
        if self._pending:
            self._schedule()
        else:
            self._idle.set()


class _Worker(threading.Thread):
    "Answers one group after the other, until an empty one ends it."

    def __init__(self, model: Callable[[], Predictor], audit: AuditTrail, metrics: Metrics, deliver: _Deliver) -> None:
        super().__init__(name="batcher")
        self._parts, self._deliver = (model, audit, metrics), deliver
        self.groups: queue.SimpleQueue[list[PendingRequest]] = queue.SimpleQueue()
        self.rows_per_second, self.group_seconds = 1000.0, 0.001  # as lately seen

    def run(self) -> None:
        "Work until there is no more."
        while group := self.groups.get():
            begin = time.perf_counter()
            answers = _answer_safely(group, *self._parts)
            self.group_seconds = time.perf_counter() - begin
            speed = sum(len(request.rows) for request in group) / self.group_seconds
            self.rows_per_second += 0.1 * (speed - self.rows_per_second)
            self._deliver(group, answers)


def _hand_out(group: list[PendingRequest], answers: list[Answer | Exception]) -> None:
    for request, answer in zip(group, answers, strict=True):
        if request.answer.done():  # the caller left
            continue
        if isinstance(answer, Exception):
            request.answer.set_exception(answer)
        else:
            request.answer.set_result(answer)


def _answer_safely(
    group: list[PendingRequest], model: Callable[[], Predictor], audit: AuditTrail, metrics: Metrics
) -> list[Answer | Exception]:
    """Return an answer or an error for each request.

    One request that the model or the log refuses must not fail the others, so a group that fails is tried again one
    by one; but not while the log as a whole can't be used, which would only repeat the wait for it.
    """
    try:
        return [*_answer(group, model(), audit, metrics)]
    except Exception as error:
        if not isinstance(error, RequestError):
            log.exception("a group can't be answered")
        # Without its frames, which hold the cursor of the transaction that failed.
        failed = error.with_traceback(None)
    if len(group) > 1 and not isinstance(failed, LogDown | NoModel):
        return [_answer_safely([request], model, audit, metrics)[0] for request in group]
    return [failed] * len(group)


def _answer(group: list[PendingRequest], model: Predictor, audit: AuditTrail, metrics: Metrics) -> list[Answer]:
    "Answer a group with one model run and one commit; raise ModelFailed, RowRefused or LogDown."
    X = _matrix(model.schema, [row for request in group for row in request.rows])
    P = model.probabilities(X)
    if P.shape != (len(X), len(model.schema.classes)):
        raise ModelFailed(f"The model answers with shape {P.shape}, so that nothing can be answered.")
    labels, probabilities, confidences = model.labels(P), P.tolist(), P.max(axis=1).tolist()
    decisions = model.decisions(P)
    # A single NaN or infinity makes its row's maximum, and so the sum, NaN or infinite.
    if not math.isfinite(sum(confidences)):
        raise ModelFailed("The model gives no probabilities for this input, so that nothing is answered.")
    time_us, now = time.time_ns() // 1000, time.perf_counter()
    timestamp = rfc3339(time_us)
    answers: list[Answer] = []
    entries: list[Entry] = []
    at = 0
    for request in group:
        part = slice(at, at := at + len(request.rows))
        answer = Answer(
            predictions=labels[part],
            probabilities=probabilities[part],
            model_name=model.card.name,
            model_version=model.card.version,
            processing_time_ms=round(1000 * (now - request.context.start), 3),
            timestamp=timestamp,
            prediction_ids=ids_of(str(uuid7()), len(request.rows)),
            prediction_sets=UNSET if request.alpha is None else model.sets(P[part], request.alpha),
            decisions=UNSET if decisions is None else decisions[part],
        )
        answers.append(answer)
        entries.append(_entry(request, answer, time_us, confidences[part]))
    audit.commit(entries)
    metrics.group(labels, confidences, time.perf_counter() - now, decisions)
    return answers


def _matrix(schema: Schema, rows: list[Row]) -> Floats:
    "Return rows as the model takes them, shape (rows, features)."
    if schema.is_plain:
        numbers: Any = chain.from_iterable(rows)
        return np.fromiter(numbers, dtype=np.float64).reshape(-1, len(schema.features))
    return np.array(encode_columns(schema, rows), dtype=np.float64).T


def _entry(request: PendingRequest, answer: Answer, time_us: int, confidences: list[float]) -> Entry:
    "Return what the log keeps of one request."
    return Entry(
        id=answer.prediction_ids[0],
        request_id=request.context.request_id,
        time=time_us,
        model_name=answer.model_name,
        model_version=answer.model_version,
        duration_ms=answer.processing_time_ms,
        caller=request.context.caller,
        features=request.rows,
        labels=answer.predictions,
        confidences=confidences,
        probabilities=answer.probabilities,
        decisions=None if answer.decisions is UNSET else answer.decisions,
    )
