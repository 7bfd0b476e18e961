"""The service as a process: how it starts, how it ends, and what it survives."""

import json
import random
import resource
import signal
import socket
from functools import partial
from pathlib import Path

import httpx
import pytest

from iris_nb.audit.log import AuditLog
from iris_nb.audit.maintenance import verify
from iris_nb.table import SCHEMA
from tests.serve.load import LONG, Load, logged
from tests.waiting import wait_until


def test_it_answers_and_ends_on_sigterm_with_nothing_amiss(live):
    service = live()
    assert httpx.post(f"{service.url}/predict", json=SCHEMA.example).status_code == 200
    assert service.stop() == 0
    lines = [json.loads(line) for line in service.said().splitlines()]
    assert not [line for line in lines if line["level"] in ("warning", "error")]
    assert [line for line in lines if line["event"] == "request" and line["path"] == "/predict"]


def test_it_ends_on_ctrl_c(live):
    assert live().stop(signal.SIGINT) == 0


def test_a_taken_port_is_one_clear_sentence(live, home):
    first = live()
    second = live(IRIS_PORT=str(first.port))
    assert second.process.wait(60) == 1
    said = second.said()
    assert "Traceback" not in said
    assert f"127.0.0.1:{first.port}" in said
    assert "IRIS_PORT" in said
    assert len(said.splitlines()) == 1


def test_wrong_settings_are_refused_at_once_without_a_trace(live):
    service = live(IRIS_WORKERS="many", IRIS_AUDIT_SYNC="maybe")
    assert service.process.wait(60) == 2
    assert len(service.said().splitlines()) == 2


def test_listening_beyond_this_machine_without_keys_is_refused(live):
    service = live(IRIS_HOST="0.0.0.0")
    assert service.process.wait(60) == 2
    assert "IRIS_API_KEYS" in service.said()


def test_sigterm_under_load_answers_and_commits_everything_accepted(live, home):
    service = live()
    load = Load(service.url)
    load.start()
    wait_until(lambda: len(load.ids) > 200, "callers are answered")
    assert service.stop() == 0
    load.join()
    assert set(load.statuses) <= {200, 503}
    kept = logged(home)
    assert sorted(load.ids) == sorted(kept)


@pytest.mark.long
@pytest.mark.parametrize("sync", ["full", "normal"])
def test_after_a_kill_every_answered_id_is_in_the_log_once(live, home, sync):
    answered: list[str] = []
    for _ in range(20 if LONG else 3):
        service = live(IRIS_AUDIT_SYNC=sync)
        load = Load(service.url)
        load.start()
        wait_until(partial(load.answered, random.randint(1, 300)), "callers are answered")
        service.kill()
        load.join()
        answered += load.ids
    kept = logged(home)
    assert len(set(kept)) == len(kept)
    assert set(answered) <= set(kept)
    with AuditLog.open(home / "audit.db", read_only=True) as log:
        assert log.count() == len(kept)
        assert verify(log).sound


def test_postgres_keeps_what_was_answered_too(live, place):
    if place.startswith("sqlite"):
        pytest.skip("tested above")
    answered: list[str] = []
    for _ in range(2):
        service = live(IRIS_DATABASE_URL=place, IRIS_WORKERS="2")
        load = Load(service.url)
        load.start()
        wait_until(partial(load.answered, 100), "callers are answered")
        service.kill()
        load.join()
        answered += load.ids
    with AuditLog.open(place, read_only=True) as log:
        assert all(log.get(key) for key in answered)
        assert log.count() >= len(answered) == len(set(answered))


def counted(service, rows: int) -> bool:
    "Whether whichever worker is asked knows of all rows."
    summary = httpx.get(f"{service.url}/metrics", headers={"accept": "application/json"}).json()
    return summary["predictions"] == summary["requests"] == rows


def test_two_workers_share_one_log(live, home):
    service = live(IRIS_WORKERS="2")
    load = Load(service.url)
    load.start()
    wait_until(lambda: len(load.ids) > 300, "callers are answered")
    load.stop()
    wait_until(partial(counted, service, len(load.ids)), "every worker tells of both")
    assert service.stop() == 0
    assert set(load.statuses) == {200}
    assert sorted(logged(home)) == sorted(load.ids)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


@pytest.mark.slow
def test_two_thousand_idle_connections_do_not_delay_the_others(live):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < 5000:
        pytest.skip("this machine allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(5000, resource.getrlimit(resource.RLIMIT_NOFILE)[0]), hard))
    service = live()
    idle = [connected(service.port) for _ in range(2000)]
    try:
        assert httpx.post(f"{service.url}/predict", json=SCHEMA.example, timeout=60).status_code == 200
        assert httpx.get(f"{service.url}/health", timeout=60).status_code == 200
        assert service.stop() == 0
    finally:
        for connection in idle:
            connection.close()


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGQUIT, signal.SIGUSR1])
def test_when_the_main_process_dies_its_workers_end(live, sign):
    service = live(IRIS_WORKERS="2")
    workers = children(service.process.pid)
    assert workers
    service.stop(sign)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "the workers have ended")


def test_the_old_name_of_a_setting_is_read_with_one_line_about_it(live):
    service = live(IRIS_AUDIT_PATIENCE="2")
    assert service.stop() == 0
    assert [line for line in service.said().splitlines() if "IRIS_AUDIT_TIMEOUT" in line] == [
        "IRIS_AUDIT_PATIENCE is called IRIS_AUDIT_TIMEOUT now; the old name is still read."
    ]


def test_a_password_in_the_query_of_an_address_is_never_shown(live):
    service = live(IRIS_DATABASE_URL="postgresql://iris@127.0.0.1:1/iris?password=hush", IRIS_AUDIT_TIMEOUT="0.2")
    assert httpx.get(f"{service.url}/health", timeout=20).status_code == 503
    answers = [
        httpx.get(f"{service.url}/health", timeout=20),
        httpx.post(f"{service.url}/predict", json=SCHEMA.example),
    ]
    service.stop()
    assert not [text for text in [*(a.text for a in answers), service.said()] if "hush" in text]
