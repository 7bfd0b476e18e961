"""The proxy, a real one in front of two real replicas."""

import re
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from iris_nb.table import SCHEMA
from tests.running import free_port, running
from tests.serve.live import Live
from tests.waiting import wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture
def replicas(tmp_path: Path, bundles: Path) -> Iterator[list[Live]]:
    "Two replicas that share bundles and log."
    (tmp_path / "bundles").symlink_to(bundles)
    with Live(tmp_path, {}) as a, Live(tmp_path, {}) as b:
        yield [a, b]


@pytest.fixture
def url(need, replicas: list[Live], tmp_path: Path) -> Iterator[str]:
    "The Caddyfile as it is, but for the address where it is managed."
    port, admin = free_port(), free_port()
    text = (DEPLOY / "proxy" / "Caddyfile").read_text().replace("admin 127.0.0.1:2019", f"admin 127.0.0.1:{admin}")
    (tmp_path / "Caddyfile").write_text(text)
    upstreams = " ".join(f"127.0.0.1:{replica.port}" for replica in replicas)
    environ = {"HOME": str(tmp_path), "IRIS_SITE": f":{port}", "IRIS_REPLICAS": upstreams}
    command = [need("caddy"), "run", "--config", str(tmp_path / "Caddyfile"), "--adapter", "caddyfile"]
    with running(command, f"http://127.0.0.1:{port}/health", tmp_path / "said", environ):
        yield f"http://127.0.0.1:{port}"


def test_nobody_notices_that_a_replica_is_replaced(url, replicas):
    "One ends as deploy.sh ends it, while callers go on; none of them sees anything but predictions."
    gone = threading.Event()
    statuses: Counter[int] = Counter()

    def call() -> None:
        "Until the replica is gone, and a hundred times more."
        with httpx.Client(base_url=url) as client:
            left = 100
            while left:
                statuses[client.post("/predict", json=SCHEMA.example).status_code] += 1
                left -= gone.is_set()

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    wait_until(lambda: statuses[200] > 100, "predictions are answered")
    assert replicas[0].stop() == 0
    gone.set()
    for caller in callers:
        caller.join()
    assert set(statuses) == {200}, statuses


def test_what_the_service_says_about_itself_stays_inside(url):
    assert httpx.get(f"{url}/metrics").status_code == 404
    assert httpx.get(f"{url}/health").status_code == 200
    assert httpx.get(f"{url}/docs").status_code == 200


def test_the_address_of_its_own_is_the_one_that_the_healthcheck_asks():
    compose = (DEPLOY / "compose.yaml").read_text()
    [admin] = re.findall(r"admin (\S+)", (DEPLOY / "proxy" / "Caddyfile").read_text())
    assert f"http://{admin}/config/" in compose


def test_it_is_tried_with_the_caddy_that_is_deployed(need):
    [deployed] = re.findall(r"library/caddy:(\d+\.\d+)", (DEPLOY / "compose.yaml").read_text())
    tried = subprocess.run([need("caddy"), "version"], capture_output=True, text=True, check=True).stdout
    assert tried.startswith(f"v{deployed}.")
