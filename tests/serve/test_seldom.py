"""What seldom happens: callers that vanish, faults of ours, a service that never had a model or a log."""

import asyncio
import json
import logging
import time
from pathlib import Path

import pytest
from litestar.exceptions import WebSocketDisconnect
from prometheus_client import CollectorRegistry, generate_latest

from iris_nb.audit.log import AuditError, AuditLog
from iris_nb.audit.maintenance import verify
from iris_nb.monitor.report import Report
from iris_nb.monitor.watch import keep
from iris_nb.table import SCHEMA
from serve.batching import Engine
from serve.body import Bodies
from serve.errors import InvalidInput, LogDown, problem_of
from serve.logs import JsonLines
from serve.metrics import LATEST, Metrics
from serve.reloading import Champion
from serve.service import Service
from serve.settings import Settings
from serve.watched import Watched
from tests.waiting import wait_until


def test_a_caller_that_vanishes_while_sending_is_no_fault_of_the_service():
    async def gone() -> dict[str, str]:
        return {"type": "http.disconnect"}

    with pytest.raises(InvalidInput, match="closed before the body ended"):
        asyncio.run(Bodies(most=10, patience=1).read({}, gone))


def test_a_reader_that_is_cancelled_by_somebody_else_stays_cancelled():
    async def forever() -> None:
        await asyncio.Event().wait()

    async def main(bodies: Bodies) -> None:
        task = asyncio.create_task(bodies.read({}, forever))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not bodies.reading

    asyncio.run(main(Bodies(most=10, patience=1)))


def test_a_fault_of_ours_is_logged_with_its_trace_and_told_without(caplog):
    with caplog.at_level(logging.ERROR, "serve"):
        problem, _ = problem_of(KeyError("a secret place"), "ticket-1")
    assert problem.status == 500
    assert "secret" not in problem.detail
    line = json.loads(JsonLines().format(caplog.records[0]))
    assert line["request_id"] == "ticket-1"
    assert "KeyError: 'a secret place'" in line["trace"]


def metrics(**state: object) -> Metrics:
    quiet = {"waiting_rows": 0, "ready": False, "model_name": None, "model_version": None, "model_fault": ""}
    return Metrics(lambda: quiet | state)


def test_before_there_is_a_model_none_is_named():
    assert "iris_model{" not in generate_latest(metrics().registry).decode()
    assert "iris_model{" in generate_latest(metrics(model_name="a", model_version="1").registry).decode()


def test_only_the_latest_durations_are_kept():
    counting = metrics()
    for i in range(2 * LATEST + 1):
        counting.request("POST", "/predict", 200, float(i))
    assert len(counting.mine.latest) == LATEST + 1
    assert counting.mine.latest[-1] == 2 * LATEST


def test_a_quality_that_nobody_could_estimate_is_not_told(tmp_path: Path):
    keep(Report(0.0, "24h", 300, [], "unsure", "Too few.", None), tmp_path)
    registry = CollectorRegistry()
    registry.register(Watched(tmp_path / "watch.json"))
    told = generate_latest(registry).decode()
    assert "iris_watch_rows 300.0" in told
    assert "iris_accuracy_expected" not in told


def test_a_first_champion_that_is_refused_is_why_there_is_no_model(home: Path):
    (home / "bundles" / f"{SCHEMA.name}_test-1" / "model.onnx").write_bytes(b"no model")
    service = Service(Settings(home=home))
    service.champion.check()
    assert service.engine.model is None
    assert "model.onnx" in service.faults()[0]


def test_without_a_log_a_question_to_it_says_why(home: Path):
    service = Service(Settings(home=home))
    service.engine.audit_fault = "the disk is full"
    with pytest.raises(LogDown, match="the disk is full"):
        service.log()


def test_the_watch_outlives_a_fault_and_looks_at_the_log_again(home: Path, monkeypatch, caplog):
    looked = []

    def fails_first(self: Champion) -> None:
        looked.append("champion")
        if len(looked) == 1:
            raise RuntimeError("something that nobody thought of")

    monkeypatch.setattr(Champion, "check", fails_first)
    monkeypatch.setattr(Engine, "check_audit", lambda self: looked.append("log"))

    async def main() -> None:
        service = Service(Settings(home=home, watch_seconds=0.001))
        service.engine.audit_fault = "gone"
        task = asyncio.create_task(service._watch())
        await asyncio.to_thread(wait_until, lambda: "log" in looked, "the log is looked at")
        task.cancel()

    asyncio.run(main())
    assert "the watch failed, and goes on" in caplog.text
    assert looked[:3] == ["champion", "champion", "log"]


def test_a_websocket_is_turned_away(client):
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/predict"):
        pass


def test_a_clock_that_is_set_back_loses_nothing_and_the_history_stays_whole(make_client, home, row, monkeypatch):
    class Clock:
        perf_counter, now = staticmethod(time.perf_counter), time.time_ns()

        def time_ns(self) -> int:
            self.now -= 1_800_000_000_000  # half an hour with every look
            return self.now

    monkeypatch.setattr("serve.batching.time", Clock())
    client = make_client()
    heard = [client.post("/predict", json=row).json()["prediction_ids"][0] for _ in range(10)]
    url, found = "/predictions/history?limit=3", []
    while url:
        page = client.get(url).json()
        found += [one["id"] for one in page["predictions"]]
        url = page["next"] and f"/predictions/history?limit=3&before={page['next']}"
    assert found == heard  # newest first by the clock, which ran backwards
    assert [client.get(f"/predictions/{key}").json()["id"] for key in heard] == heard
    with AuditLog.open(home / "audit.db", read_only=True) as log:
        assert verify(log).sound


def test_a_log_that_can_not_be_opened_is_a_503_and_keeps_nobody_from_closing(home, make_client, row):
    (home / "audit.db").mkdir()
    client = make_client()
    for answer in (client.post("/predict", json=row), client.get("/predictions/history")):
        assert answer.status_code == 503
        assert "log" in answer.json()["detail"]
    assert client.get("/health").json()["database"] == "unavailable"
    assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize("before", ["nonsense", "1-1-1\n", "١-١-١"])
def test_a_cursor_that_is_none_is_refused_also_where_it_only_looks_like_one(client, before):
    answer = client.get("/predictions/history", params={"before": before})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "before"


def test_a_log_that_fails_when_it_is_looked_at_says_why(home: Path):
    service = Service(Settings(home=home))

    class Full:
        def append(self, entries: list[object]) -> None:
            raise AuditError("The disk is full.")

    service.engine.audit = Full()  # type: ignore[assignment]
    service.engine.check_audit()
    assert service.engine.audit_fault == "The disk is full."


def test_a_champion_that_stays_refused_is_said_once(home: Path, caplog):
    service = Service(Settings(home=home))
    (home / "bundles" / "champion.json").write_text("{")
    service.champion.check()
    service.champion.check()
    assert caplog.text.count("the champion is refused") == 1
