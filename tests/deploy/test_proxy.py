"""The proxy, a real one in front of two real replicas."""

import json
import re
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
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
def proxy(need, replicas: list[Live], tmp_path: Path) -> Iterator[tuple[str, int]]:
    "The Caddyfile as shipped, but for the address where it is managed: its URL and process."
    port, admin = free_port(), free_port()
    text = (DEPLOY / "proxy" / "Caddyfile").read_text()
    text = text.replace("admin 127.0.0.1:2019", f"admin 127.0.0.1:{admin}")
    (tmp_path / "Caddyfile").write_text(text)
    upstreams = " ".join(f"127.0.0.1:{replica.port}" for replica in replicas)
    environ = {"HOME": str(tmp_path), "IRIS_SITE": f":{port}", "IRIS_REPLICAS": upstreams, "GOMEMLIMIT": "100MiB"}
    command = [need("caddy"), "run", "--config", str(tmp_path / "Caddyfile"), "--adapter", "caddyfile"]
    with running(command, f"http://127.0.0.1:{port}/health", tmp_path / "said", environ) as process:
        yield f"http://127.0.0.1:{port}", process.pid


@pytest.fixture
def url(proxy: tuple[str, int]) -> str:
    return proxy[0]


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


SPELLINGS = [
    text.format(page)
    for page in ("metrics", "health/live")
    for text in (
        "/{}",
        "/{}/",
        "/{}//",
        "//{}",
        "/./{}",
        "/docs/../{}",
        "/{}%2f",
        "/{}%2F/",
        "/%2f{}",
        "/{}?a=1",
        "/{};a",
    )
] + ["/%6detrics", "/METRICS", "/health//live", "/health%2flive", "/health/%6cive/", "/health/./live", "/metrics%00"]


def raw_get(url: str, target: str) -> bytes:
    "The whole answer at a target that no client puts right before it is sent."
    place = httpx.URL(url)
    with socket.create_connection((place.host, place.port), timeout=20) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {place.host}\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_what_the_service_says_about_itself_stays_inside_however_it_is_spelt(url, replicas):
    assert b"iris_" in raw_get(replicas[0].url, "/metrics")
    answered = {target: raw_get(url, target).partition(b"\r\n")[0] for target in SPELLINGS}
    assert {t: a for t, a in answered.items() if not a.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))} == {}
    assert httpx.get(f"{url}/health").status_code == 200
    assert httpx.get(f"{url}/health/ready").status_code == 200
    assert httpx.get(f"{url}/docs").status_code == 200


def limit_of_compose() -> int:
    "The memory that compose.yaml gives the proxy, in bytes."
    part = (DEPLOY / "compose.yaml").read_text().split("\n  proxy:")[1].split("\n\n")[0]
    return int(re.findall(r"memory: (\d+)M", part)[0]) << 20


def most_memory(pid: int) -> int:
    "The most memory that a process ever held, in bytes."
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]) << 10


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc tells how much memory a process holds")
@pytest.mark.parametrize(("announced", "sent"), [(16_700_000, 16_000_000), (4_100_000, 4_000_000), (None, 16_000_000)])
def test_twenty_bodies_that_never_end_fit_into_the_proxys_memory(proxy, announced, sent):
    url, pid = httpx.URL(proxy[0]), proxy[1]
    length = f"Content-Length: {announced}" if announced else "Transfer-Encoding: chunked"
    head = f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{length}\r\n\r\n".encode()
    body = b" " * sent if announced else b"%x\r\n%s\r\n" % (sent, b" " * sent)

    def begin() -> socket.socket:
        connection = socket.create_connection((url.host, url.port), timeout=20)
        with suppress(ConnectionError):  # it may refuse before all is sent
            connection.sendall(head + body)
        return connection

    with ThreadPoolExecutor(20) as pool, ExitStack() as stack:
        for connection in pool.map(lambda _: begin(), range(20)):
            stack.enter_context(connection)
        assert httpx.post(f"{url}/predict", json=SCHEMA.example).status_code == 200
        assert most_memory(pid) < limit_of_compose()


def test_a_body_beyond_four_megabytes_is_refused(url):
    headers = {"content-type": "application/json"}
    for length in (4_194_305, 5_000_000, 9_000_000):
        assert httpx.post(f"{url}/predict", content=b" " * length, headers=headers, timeout=60).status_code == 413
    almost = json.dumps(SCHEMA.example).encode().ljust(4_194_304)
    assert httpx.post(f"{url}/predict", content=almost, headers=headers, timeout=60).status_code == 200


def test_the_address_of_its_own_is_the_one_that_the_healthcheck_asks():
    compose = (DEPLOY / "compose.yaml").read_text()
    [admin] = re.findall(r"admin (\S+)", (DEPLOY / "proxy" / "Caddyfile").read_text())
    assert f"http://{admin}/config/" in compose


def test_it_is_tried_with_the_caddy_that_is_deployed(need):
    [deployed] = re.findall(r"library/caddy:(\d+\.\d+)", (DEPLOY / "compose.yaml").read_text())
    tried = subprocess.run([need("caddy"), "version"], capture_output=True, text=True, check=True).stdout
    assert tried.startswith(f"v{deployed}.")
