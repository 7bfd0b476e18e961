"""The audit log as the service uses it: what stops it, and how it goes on."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from litestar.testing import TestClient

from iris_nb.audit.anchor import read_anchors
from iris_nb.audit.events import Event
from iris_nb.audit.log import AuditError, AuditLog
from iris_nb.audit.maintenance import verify
from iris_nb.table import SCHEMA
from serve.app import create_app
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


def test_a_log_that_can_not_be_opened_is_a_503_and_the_service_still_closes(home, make_client, row):
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


def ready(client) -> bool:
    return client.get("/health/ready").status_code == 200


def rows_of(path: Path) -> list[str]:
    "The ids in a log, which must be sound."
    with AuditLog.open(path, read_only=True) as log:
        assert verify(log).sound
        return [row["id"] for row in log.latest(1000)]


def test_a_backup_in_the_place_of_the_log_is_refused_until_a_restart(make_client, home, row):
    client = make_client()
    first = client.post("/predict", json=row).json()["prediction_ids"]
    backup = home / "backup.db"
    with sqlite3.connect(home / "audit.db") as source, sqlite3.connect(backup) as copy:
        source.backup(copy)
    source.close()
    copy.close()
    (home / "audit.db").unlink()
    wait_until(lambda: not ready(client), "the service notices without a request")
    shutil.copy(backup, home / "audit.db")
    for _ in range(5):
        answer = client.post("/predict", json=row)
        assert answer.status_code == 503
        assert "restart" in answer.json()["detail"]
    assert "restart" in client.get("/health").json()["faults"][0]
    client.__exit__()
    again = make_client()
    second = again.post("/predict", json=row).json()["prediction_ids"]
    again.__exit__()
    assert rows_of(home / "audit.db") == [*second, *first]


def test_a_log_that_was_moved_away_takes_its_rows_along(make_client, home, row):
    client = make_client()
    answered = [client.post("/predict", json=row).json()["prediction_ids"][0] for _ in range(20)]
    (home / "audit.db").rename(home / "kept.db")
    wait_until(lambda: not ready(client), "the service notices")
    client.__exit__()
    assert make_client().post("/predict", json=row).json()["predictions"]
    assert rows_of(home / "kept.db") == answered[::-1]


def test_a_write_ahead_log_that_is_deleted_stops_the_service(make_client, home, row):
    client = make_client()
    client.post("/predict", json=row).raise_for_status()
    (home / "audit.db-wal").unlink()
    answer = client.post("/predict", json=row)
    assert answer.status_code == 503
    assert "restart" in answer.json()["detail"]


def test_a_log_that_can_only_be_read_is_noticed_at_the_start(make_client, home, row, monkeypatch):
    class ReadOnly(AuditLog):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            self.append = self.refuses

        def refuses(self, entries: object) -> None:
            raise AuditError("The audit log can't be written: its file or folder is read-only.")

    monkeypatch.setattr("serve.service.AuditLog", ReadOnly)
    client = make_client(watch_seconds=3600)
    assert client.get("/health/ready").status_code == 503
    assert "read-only" in client.get("/health").json()["faults"][0]


def events(home: Path) -> list[Event]:
    with AuditLog.open(home / "audit.db", schema=None, read_only=True) as log:
        return log.events.list()[::-1]


def test_start_label_and_stop_of_a_service_are_events_with_their_actors(home, make_client, row):
    with TestClient(create_app(Settings(home=home))) as client:
        id = client.post("/predict", json=row).json()["prediction_ids"][0]
        assert client.post(f"/predictions/{id}/label", json={"label": SCHEMA.classes[0]}).status_code == 200
    found = events(home)
    assert [e.kind for e in found] == ["service.start", "label.set", "service.stop"]
    assert found[0].detail["version"] == "1"
    assert found[1].subject == id
    with AuditLog.open(home / "audit.db", schema=None, read_only=True) as log:
        assert verify(log).sound


def test_an_event_that_can_not_be_written_stops_nothing(home: Path):
    service = Service(Settings(home=home))
    service.audit.note("service.start")  # not open yet

    class Refuses:
        def append(self, *words: object, **detail: object) -> None:
            raise AuditError("The disk is full.")

    service.audit.check()
    service.audit.log.events = Refuses()  # type: ignore[assignment]
    service.audit.note("service.start")
    service.audit.close()


def test_the_ends_of_the_chains_are_noted_elsewhere_at_the_first_look_and_at_the_stop(home, tmp_path, row):
    elsewhere = tmp_path / "anchor.jsonl"
    with TestClient(create_app(Settings(home=home, audit_anchor=elsewhere, watch_seconds=0.05))) as client:
        wait_until(elsewhere.exists, "the first anchor")
        assert client.post("/predict", json=row).status_code == 200
    anchors = read_anchors(elsewhere)
    assert [a.seq for a in anchors] == [0, 1]
    with AuditLog.open(home / "audit.db", schema=None, read_only=True) as log:
        assert verify(log, anchors=anchors).sound


def test_an_anchor_that_can_not_be_written_stops_nothing(home, tmp_path, row):
    settings = Settings(home=home, audit_anchor=tmp_path / "nowhere" / "anchor.jsonl", watch_seconds=0.05)
    with TestClient(create_app(settings)) as client:
        assert client.post("/predict", json=row).status_code == 200
    assert events(home)[-1].kind == "service.stop"
