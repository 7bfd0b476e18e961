"""The batcher: committed before answered, one model a group, bounded, every caller its own rows."""

import asyncio
import json
import socket
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_nb.audit.log import AuditError, AuditLog, Entry, ids_of
from iris_nb.predict.predictor import Predictor
from iris_nb.schema import Value, encode_columns
from iris_nb.table import SCHEMA
from serve.audit import AuditTrail
from serve.batching import Batcher, RequestContext
from serve.errors import Busy, Closing, LogDown, ModelFailed, NoModel, RowRefused
from serve.metrics import Metrics
from serve.reloading import ModelReloader
from tests.serve.load import Load, logged
from tests.waiting import wait_until

CALL = RequestContext("request", None, 0.0)


class MemoryLog:
    "A log in memory that can be held shut, and can fail."

    def __init__(self) -> None:
        self.groups: list[list[Entry]] = []
        self.open = threading.Event()
        self.open.set()
        self.fault = ""

    def append(self, entries: list[Entry]) -> None:
        self.open.wait(20)
        if self.fault:
            raise AuditError(self.fault)
        if entries:
            self.groups.append(list(entries))

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def models(bundles: Path) -> list[Predictor]:
    return [Predictor.load(bundles / f"{SCHEMA.name}_test-{v}") for v in "12"]


class Running(Batcher):
    "A batcher whose model can be changed."

    def __init__(self, model: Predictor | None, log: object, max_waiting: int) -> None:
        self.models, metrics = ModelReloader(Path("nowhere")), Metrics(dict)
        self.models.model = model
        self.audit = AuditTrail(lambda: log, metrics)  # type: ignore[arg-type,return-value]
        self.audit.check()
        super().__init__(self.models.current, self.audit, metrics, max_waiting)


@asynccontextmanager
async def running(model: Predictor | None, log: object, most: int = 1000) -> AsyncIterator[Running]:
    batcher = Running(model, log, most)
    batcher.start()
    try:
        yield batcher
    finally:
        await batcher.close()


def row(i: int) -> tuple[Value, ...]:
    "A row like no other."
    random = np.random.default_rng(i)
    values = [f.decode(float(f.draw(random, 1)[0])) for f in SCHEMA.features]
    return tuple(float(value) if type(value) is int else value for value in values)


def test_requests_that_arrive_together_share_a_commit(models):
    async def story(log: MemoryLog) -> None:
        async with running(models[0], log) as batcher:
            await asyncio.gather(*(batcher.predict([row(i)], CALL) for i in range(50)))

    asyncio.run(story(log := MemoryLog()))
    assert [len(group) for group in log.groups] == [50]


def test_no_answer_leaves_before_the_commit(models):
    async def story(log: MemoryLog) -> None:
        log.open.clear()
        async with running(models[0], log) as batcher:
            asking = asyncio.create_task(batcher.predict([row(1)], CALL))
            await asyncio.wait({asking}, timeout=0.2)
            assert not asking.done()
            log.open.set()
            assert (await asking).prediction_ids == [log.groups[0][0].id]

    asyncio.run(story(MemoryLog()))


def test_a_failed_commit_gives_no_answer_and_the_next_one_works(models):
    async def story(log: MemoryLog) -> None:
        async with running(models[0], log) as batcher:
            log.fault = "the disk is full"
            answers = await asyncio.gather(*(batcher.predict([row(i)], CALL) for i in range(5)), return_exceptions=True)
            assert all(isinstance(a, LogDown) and "disk is full" in str(a) for a in answers)
            assert batcher.audit.fault
            log.fault = ""
            await batcher.predict([row(1)], CALL)
            assert not batcher.audit.fault

    asyncio.run(story(MemoryLog()))


def test_the_rows_that_wait_are_bounded_and_a_429_says_when_to_come_back(models):
    async def story(log: MemoryLog) -> None:
        log.open.clear()
        async with running(models[0], log, most=10) as batcher:
            asking = [asyncio.create_task(batcher.predict([row(i)] * 5, CALL)) for i in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(Busy) as caught:
                await batcher.predict([row(1)], CALL)
            assert int(caught.value.headers["retry-after"]) >= 1
            log.open.set()
            await asyncio.gather(*asking)
            await batcher.predict([row(1)], CALL)

    asyncio.run(story(MemoryLog()))


def test_one_batch_larger_than_the_queue_is_answered_when_no_other_waits(models):
    async def story() -> None:
        async with running(models[0], MemoryLog(), most=10) as batcher:
            assert len((await batcher.predict([row(i) for i in range(500)], CALL)).predictions) == 500

    asyncio.run(story())


def test_closing_answers_everything_accepted_and_accepts_no_more(models):
    async def story(log: MemoryLog) -> None:
        log.open.clear()
        async with running(models[0], log) as batcher:
            asking = [asyncio.create_task(batcher.predict([row(i)], CALL)) for i in range(20)]
            await asyncio.sleep(0)
            closing = asyncio.create_task(batcher.close())
            await asyncio.sleep(0)
            with pytest.raises(Closing):
                await batcher.predict([row(1)], CALL)
            log.open.set()
            await closing
            assert all(task.done() and task.result() for task in asking)
        assert sum(map(len, log.groups)) == 20

    asyncio.run(story(MemoryLog()))


def test_without_a_model_the_answer_comes_at_once():
    async def story() -> None:
        async with running(None, MemoryLog()) as batcher:
            with pytest.raises(NoModel, match="make train"):
                await batcher.predict([row(1)], CALL)

    asyncio.run(story())


steps = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(["stay", "leave", "swap", "fail", "mend", "pause"])),
    min_size=1,
    max_size=40,
)


@given(steps)
@settings(max_examples=40, deadline=None)
def test_every_caller_gets_the_answer_to_its_own_rows(models, steps):
    "Whoever leaves early, whatever fails, whichever model takes over in between."

    async def story(log: MemoryLog) -> None:
        asked, number = [], 0
        async with running(models[0], log) as batcher:
            for count, what in steps:
                rows = [row(number + i) for i in range(count)]
                number += count
                task = asyncio.create_task(batcher.predict(rows, CALL))
                asked.append((rows, task))
                if what == "leave":
                    await asyncio.sleep(0)
                    task.cancel()
                if what == "swap":
                    batcher.models.model = models[batcher.models.model is models[0]]
                if what in ("fail", "mend"):
                    log.fault = "closed" if what == "fail" else ""
                if what == "pause":
                    await asyncio.wait({task})
            answers = await asyncio.gather(*(task for _, task in asked), return_exceptions=True)
        kept = {entry.id: entry for group in log.groups for entry in group}
        for (rows, _), answer in zip(asked, answers, strict=True):
            if isinstance(answer, BaseException):
                assert isinstance(answer, LogDown | asyncio.CancelledError)
                continue
            check(rows, answer, kept)

    def check(rows, answer, kept) -> None:
        model = models[int(answer.model_version) - 1]
        expected = model.predict([dict(zip(SCHEMA.names, r, strict=True)) for r in rows])
        entry = kept[answer.prediction_ids[0]]
        assert answer.prediction_ids == ids_of(entry.id, len(rows))
        assert answer.predictions == entry.labels == [one.label for one in expected]
        for i, one in enumerate(expected):
            assert answer.probabilities[i] == pytest.approx(list(one.probabilities.values()), abs=1e-9)
        assert entry.features == rows
        assert entry.probabilities == answer.probabilities
        assert entry.confidences == [max(p) for p in answer.probabilities]
        assert entry.model_version == answer.model_version

    asyncio.run(story(MemoryLog()))


def test_ids_are_ordered_in_time(models):
    async def story() -> list[str]:
        async with running(models[0], MemoryLog()) as batcher:
            answers = [await batcher.predict([row(i)] * 3, CALL) for i in range(20)]
            return [key for answer in answers for key in answer.prediction_ids]

    keys = asyncio.run(story())
    assert keys == sorted(keys)
    assert len(set(keys)) == 60


HEAD = "POST {} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{}"


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


@pytest.mark.slow
def test_in_a_flood_some_are_sent_away_and_health_still_answers(live, home):
    service = live(IRIS_QUEUE="40")
    load = Load(service.url, callers=24, path="/predict/batch", body={"samples": [SCHEMA.example] * 20})
    load.start()
    while not {200, 429} <= set(load.statuses) or len(load.statuses) < 500:
        assert httpx.get(f"{service.url}/health/ready", timeout=10).status_code == 200
        assert httpx.get(f"{service.url}/metrics", timeout=10).status_code == 200
    load.stop()
    assert set(load.statuses) == {200, 429}
    assert all(int(wait) >= 1 for wait in load.retry_after)
    assert sorted(logged(home)) == sorted(load.ids)


def test_callers_who_leave_do_not_disturb_the_others(live, home):
    service = live()
    body = json.dumps(SCHEMA.example)

    def leave_early() -> None:
        for _ in range(50):
            with connected(service.port) as connection:
                connection.sendall(HEAD.format("/predict", len(body), body).encode())

    leaving = [threading.Thread(target=leave_early) for _ in range(4)]
    load = Load(service.url, callers=4)
    load.start()
    for thread in leaving:
        thread.start()
    for thread in leaving:
        thread.join()
    wait_until(partial(load.answered, 100), "the others are answered")
    load.stop()
    assert service.stop() == 0
    assert set(load.statuses) == {200}
    kept = logged(home)
    assert len(set(kept)) == len(kept)
    assert set(load.ids) <= set(kept)
    assert "Traceback" not in service.said()


class PickyLog(MemoryLog):
    "A log that refuses one request, the way a database does."

    def append(self, entries: list[Entry]) -> None:
        if any(entry.request_id == "poisoned" for entry in entries):
            raise AuditError("refused a row") from sqlite3.IntegrityError("NOT NULL constraint failed")
        super().append(entries)


def test_a_request_that_the_log_refuses_fails_alone(models):
    async def story(log: MemoryLog) -> None:
        async with running(models[0], log) as batcher:
            calls = [RequestContext("poisoned" if i == 2 else "good", None, 0.0) for i in range(5)]
            asked = [batcher.predict([row(i)], call) for i, call in enumerate(calls)]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert [isinstance(answer, RowRefused) for answer in answers] == [i == 2 for i in range(5)]
            assert not batcher.audit.fault

    asyncio.run(story(log := PickyLog()))
    assert [entry.request_id for group in log.groups for entry in group] == ["good"] * 4


def test_a_model_that_gives_no_number_for_one_row_fails_that_request_alone(models):
    class Model(Predictor):
        def probabilities(self, X):
            (second,) = np.array(encode_columns(SCHEMA, [row(2)])).T
            return np.where((second == X).all(axis=1, keepdims=True), np.nan, super().probabilities(X))

    async def story(log: MemoryLog) -> None:
        model = Model(models[0].bundle, models[0].schema, models[0].session)
        async with running(model, log) as batcher:
            answers = await asyncio.gather(*(batcher.predict([row(i)], CALL) for i in range(5)), return_exceptions=True)
            assert [isinstance(answer, ModelFailed) for answer in answers] == [i == 2 for i in range(5)]

    asyncio.run(story(log := MemoryLog()))
    assert sum(map(len, log.groups)) == 4


def test_after_a_row_that_the_log_refused_the_log_is_free(models, tmp_path):
    "What is raised must not hold the transaction that failed."

    async def story(log: AuditLog) -> None:
        async with running(models[0], log) as batcher:
            with pytest.raises(RowRefused):
                await batcher.predict([row(1)], RequestContext(None, None, 0.0))  # type: ignore[arg-type]
            await batcher.predict([row(2)], CALL)
            with AuditLog.open(tmp_path / "audit.db", timeout=0.1) as other:
                other.append([])
                assert other.count() == 1

    with AuditLog.open(tmp_path / "audit.db", timeout=0.1) as log:
        asyncio.run(story(log))
