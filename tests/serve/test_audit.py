"""The audit log as the service uses it: what stops it, and how it goes on."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from iris_nb.audit.log import AuditError, AuditLog
from iris_nb.table import SCHEMA
from serve.errors import LogDown
from serve.service import Service
from serve.settings import Settings
from tests.serve.load import logged
from tests.waiting import wait_until


def test_without_a_log_a_question_to_it_says_why(home: Path):
    service = Service(Settings(home=home))
    service.audit.fault = "the disk is full"
    with pytest.raises(LogDown, match="the disk is full"):
        _ = service.audit.log


def test_a_log_that_can_not_be_opened_is_a_503_and_keeps_nobody_from_closing(home, make_client, row):
    (home / "audit.db").mkdir()
    client = make_client()
    for answer in (client.post("/predict", json=row), client.get("/predictions/history")):
        assert answer.status_code == 503
        assert "log" in answer.json()["detail"]
    assert client.get("/health").json()["database"] == "unavailable"
    assert client.get("/health/live").status_code == 200


def test_a_log_that_fails_when_it_is_looked_at_says_why(home: Path):
    service = Service(Settings(home=home))

    class Full:
        def append(self, entries: list[object]) -> None:
            raise AuditError("The disk is full.")

    service.audit._open = Full  # type: ignore[assignment]
    service.audit.check()
    assert service.audit.fault == "The disk is full."


def test_the_watch_opens_a_log_that_could_not_be_opened_at_first(make_client: Callable, home: Path, row) -> None:
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


def test_a_locked_log_is_a_503_until_it_is_free_again(live, home):
    service = live(IRIS_AUDIT_TIMEOUT="0.2")
    holder = sqlite3.connect(home / "audit.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    answer = httpx.post(f"{service.url}/predict", json=SCHEMA.example, timeout=20)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert httpx.get(f"{service.url}/health/ready").status_code == 503
    assert httpx.get(f"{service.url}/health/live").status_code == 200
    assert "iris_audit_failures_total 1.0" in httpx.get(f"{service.url}/metrics").text
    holder.execute("ROLLBACK")
    holder.close()
    wait_until(lambda: httpx.get(f"{service.url}/health/ready").status_code == 200, "the log is written again")
    assert httpx.post(f"{service.url}/predict", json=SCHEMA.example).status_code == 200
    assert len(logged(home)) == 1


def test_a_log_that_was_deleted_is_a_503_and_nothing_is_lost_unseen(live, home):
    service = live()
    assert httpx.post(f"{service.url}/predict", json=SCHEMA.example).status_code == 200
    for name in ("audit.db", "audit.db-wal", "audit.db-shm"):
        (home / name).rename(home / f"gone-{name}")
    answer = httpx.post(f"{service.url}/predict", json=SCHEMA.example)
    assert answer.status_code == 503
    assert "gone" in answer.json()["detail"]
    assert httpx.get(f"{service.url}/health/ready").status_code == 503
    for name in ("audit.db", "audit.db-wal", "audit.db-shm"):
        (home / f"gone-{name}").rename(home / name)
    wait_until(lambda: httpx.get(f"{service.url}/health/ready").status_code == 200, "the log is there again")
    assert httpx.post(f"{service.url}/predict", json=SCHEMA.example).status_code == 200
    assert len(logged(home)) == 2


def test_a_full_disk_is_a_503_until_there_is_room(live, home):
    "A limit on the size of files stands for the disk."
    import resource

    service = live()
    assert httpx.post(f"{service.url}/predict", json=SCHEMA.example).status_code == 200
    worker = children(service.process.pid)[0]
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    answer = httpx.post(f"{service.url}/predict", json=SCHEMA.example, timeout=20)
    assert answer.status_code == 503
    assert httpx.get(f"{service.url}/health/ready").status_code == 503
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_until(lambda: httpx.get(f"{service.url}/health/ready").status_code == 200, "the log is written again")
    assert httpx.post(f"{service.url}/predict", json=SCHEMA.example).status_code == 200
    assert len(logged(home)) == 2


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
