"""The promises of the engine: committed before answered, one model a group, bounded, everybody their own row."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_nb.audit.log import AuditError, AuditLog, Entry, ids_of
from iris_nb.predict.predictor import Predictor
from iris_nb.table import SCHEMA
from serve.batching import Call, Engine
from serve.errors import Busy, Closing, LogDown, NoModel
from serve.metrics import Metrics

CALL = Call("request", None, 0.0)


class Shelf:
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


@asynccontextmanager
async def running(model: Predictor | None, shelf: object, most: int = 1000) -> AsyncIterator[Engine]:
    engine = Engine(lambda: shelf, Metrics(dict), most)  # type: ignore[arg-type,return-value]
    engine.model = model
    engine.start()
    try:
        yield engine
    finally:
        await engine.close()


def row(i: int) -> tuple[float, ...]:
    "A row like no other."
    return tuple(f.low + (f.high - f.low) * (i % 9973) / 9973 for f in SCHEMA.features)


def test_requests_that_arrive_together_share_a_commit(models):
    async def story(shelf: Shelf) -> None:
        async with running(models[0], shelf) as engine:
            await asyncio.gather(*(engine.predict([row(i)], CALL) for i in range(50)))

    asyncio.run(story(shelf := Shelf()))
    assert [len(group) for group in shelf.groups] == [50]


def test_nobody_hears_before_the_commit(models):
    async def story(shelf: Shelf) -> None:
        shelf.open.clear()
        async with running(models[0], shelf) as engine:
            asking = asyncio.create_task(engine.predict([row(1)], CALL))
            await asyncio.wait({asking}, timeout=0.2)
            assert not asking.done()
            shelf.open.set()
            assert (await asking).prediction_ids == [shelf.groups[0][0].id]

    asyncio.run(story(Shelf()))


def test_a_failed_commit_answers_nobody_and_the_next_one_everybody(models):
    async def story(shelf: Shelf) -> None:
        async with running(models[0], shelf) as engine:
            shelf.fault = "the disk is full"
            answers = await asyncio.gather(*(engine.predict([row(i)], CALL) for i in range(5)), return_exceptions=True)
            assert all(isinstance(a, LogDown) and "disk is full" in str(a) for a in answers)
            assert engine.audit_fault
            shelf.fault = ""
            await engine.predict([row(1)], CALL)
            assert not engine.audit_fault

    asyncio.run(story(Shelf()))


def test_the_rows_that_wait_are_bounded_and_the_caller_hears_when_to_come_back(models):
    async def story(shelf: Shelf) -> None:
        shelf.open.clear()
        async with running(models[0], shelf, most=10) as engine:
            asking = [asyncio.create_task(engine.predict([row(i)] * 5, CALL)) for i in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(Busy) as caught:
                await engine.predict([row(1)], CALL)
            assert int(caught.value.headers["retry-after"]) >= 1
            shelf.open.set()
            await asyncio.gather(*asking)
            await engine.predict([row(1)], CALL)

    asyncio.run(story(Shelf()))


def test_one_batch_larger_than_the_queue_is_answered_when_nobody_else_waits(models):
    async def story() -> None:
        async with running(models[0], Shelf(), most=10) as engine:
            assert len((await engine.predict([row(i) for i in range(500)], CALL)).predictions) == 500

    asyncio.run(story())


def test_closing_answers_everything_accepted_and_accepts_no_more(models):
    async def story(shelf: Shelf) -> None:
        shelf.open.clear()
        async with running(models[0], shelf) as engine:
            asking = [asyncio.create_task(engine.predict([row(i)], CALL)) for i in range(20)]
            await asyncio.sleep(0)
            closing = asyncio.create_task(engine.close())
            await asyncio.sleep(0)
            with pytest.raises(Closing):
                await engine.predict([row(1)], CALL)
            shelf.open.set()
            await closing
            assert all(task.done() and task.result() for task in asking)
        assert sum(map(len, shelf.groups)) == 20

    asyncio.run(story(Shelf()))


def test_without_a_model_nobody_waits():
    async def story() -> None:
        async with running(None, Shelf()) as engine:
            with pytest.raises(NoModel, match="make train"):
                await engine.predict([row(1)], CALL)

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

    async def story(shelf: Shelf) -> None:
        asked, number = [], 0
        async with running(models[0], shelf) as engine:
            for count, what in steps:
                rows = [row(number + i) for i in range(count)]
                number += count
                task = asyncio.create_task(engine.predict(rows, CALL))
                asked.append((rows, task))
                if what == "leave":
                    await asyncio.sleep(0)
                    task.cancel()
                if what == "swap":
                    engine.model = models[engine.model is models[0]]
                if what in ("fail", "mend"):
                    shelf.fault = "closed" if what == "fail" else ""
                if what == "pause":
                    await asyncio.wait({task})
            answers = await asyncio.gather(*(task for _, task in asked), return_exceptions=True)
        kept = {entry.id: entry for group in shelf.groups for entry in group}
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

    asyncio.run(story(Shelf()))


def test_ids_are_ordered_in_time(models):
    async def story() -> list[str]:
        async with running(models[0], Shelf()) as engine:
            answers = [await engine.predict([row(i)] * 3, CALL) for i in range(20)]
            return [key for answer in answers for key in answer.prediction_ids]

    keys = asyncio.run(story())
    assert keys == sorted(keys)
    assert len(set(keys)) == 60


def test_the_watch_opens_a_log_that_could_not_be_opened_at_first(make_client: Callable, home: Path, row) -> None:
    from tests.waiting import wait_until

    (home / "audit.db").mkdir()
    client = make_client()
    answer = client.post("/predict", json=row)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert client.get("/health").json()["database"] == "unavailable"
    for told in (answer, client.get("/health"), client.get("/predictions/history")):
        assert told.status_code == 503
        assert str(home) not in told.text
    (home / "audit.db").rmdir()
    wait_until(lambda: client.get("/health/ready").status_code == 200, "the log is open")
    assert client.post("/predict", json=row).status_code == 200
    with AuditLog.open(home / "audit.db", read_only=True) as log:
        assert log.count() == 1
