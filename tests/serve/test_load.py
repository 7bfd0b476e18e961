"""Many callers, idle callers, rude callers, and models that change under them."""

import json
import resource
import socket
import threading
import time
from functools import partial

import httpx
import pytest

from iris_nb.bundle import point_champion
from iris_nb.predict.predictor import Predictor
from iris_nb.table import SCHEMA
from tests.serve.load import LONG, Load, logged
from tests.waiting import wait_until

FIRST, SECOND = (f"{SCHEMA.name}_test-{v}" for v in "12")
HEAD = "POST {} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{}"


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


@pytest.mark.slow
@pytest.mark.long
def test_swaps_under_load_fail_nobody_and_mix_nothing(live, home):
    expected = {}
    for name in (FIRST, SECOND):
        model = Predictor.load(home / "bundles" / name)
        expected[model.card.version] = list(model.predict([SCHEMA.example])[0].probabilities.values())
    service = live(IRIS_WATCH_SECONDS="0.05")
    load = Load(service.url)
    load.start()
    for i in range(60 if LONG else 20):
        point_champion(home / "bundles", (SECOND, FIRST)[i % 2])
        wait_until(partial(answers_with, load, "21"[i % 2]), "the new champion answers")
        time.sleep(1 if LONG else 0)
    load.stop()
    assert set(load.statuses) == {200}
    assert {answer["model_version"] for answer in load.answers} == {"1", "2"}
    for answer in load.answers:
        assert answer["probabilities"][0] == pytest.approx(expected[answer["model_version"]], abs=1e-9)
    assert sorted(logged(home)) == sorted(load.ids)


def answers_with(load: Load, version: str) -> bool:
    return bool(load.answers) and load.answers[-1]["model_version"] == version


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


@pytest.mark.slow
def test_two_thousand_idle_connections_keep_nobody_waiting(live):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < 5000:
        pytest.skip("this machine allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(5000, resource.getrlimit(resource.RLIMIT_NOFILE)[0]), hard))
    service = live()
    idle = [connected(service.port) for _ in range(2000)]
    try:
        assert httpx.post(f"{service.url}/predict", json=SCHEMA.example, timeout=10).status_code == 200
        assert httpx.get(f"{service.url}/health", timeout=10).status_code == 200
        assert service.stop() == 0
    finally:
        for connection in idle:
            connection.close()


def test_silent_callers_keep_nobody_waiting_not_even_the_end(live):
    service = live(IRIS_BODY_SECONDS="1")
    silent = [connected(service.port) for _ in range(200)]
    try:
        for i, connection in enumerate(silent):
            if i % 2:
                connection.sendall(HEAD.format("/predict", 50, "{").encode())
        assert httpx.post(f"{service.url}/predict", json=SCHEMA.example).status_code == 200
        assert silent[1].recv(100).startswith(b"HTTP/1.1 408")
        assert service.stop() == 0
    finally:
        for connection in silent:
            connection.close()


def test_a_slow_caller_is_answered(live):
    service = live()
    body = json.dumps(SCHEMA.example)
    with connected(service.port) as connection:
        whole = HEAD.format("/predict", len(body), body).encode()
        for i in range(0, len(whole), 20):
            connection.sendall(whole[i : i + 20])
            assert httpx.get(f"{service.url}/health/live").status_code == 200
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_callers_who_leave_disturb_nobody(live, home):
    service = live()
    body = json.dumps(SCHEMA.example)

    def rude() -> None:
        for _ in range(50):
            with connected(service.port) as connection:
                connection.sendall(HEAD.format("/predict", len(body), body).encode())

    leaving = [threading.Thread(target=rude) for _ in range(4)]
    load = Load(service.url, callers=4)
    load.start()
    for thread in leaving:
        thread.start()
    for thread in leaving:
        thread.join()
    wait_until(partial(load.heard, 100), "the others are answered")
    load.stop()
    assert service.stop() == 0
    assert set(load.statuses) == {200}
    kept = logged(home)
    assert len(set(kept)) == len(kept)
    assert set(load.ids) <= set(kept)
    assert "Traceback" not in service.said()
