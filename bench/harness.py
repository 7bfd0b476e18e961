"""What every benchmark of a server needs: a model to serve, a server on one core, callers on another.

The callers are `wrk` (Debian: apt install wrk), which is far quicker than any server here. A server is pinned to
the first core and its callers to the second, so that neither takes the other's time. A round of all servers is
repeated, and the median told: a machine has moods, and they pass over all servers alike.
"""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iris_nb.table import SCHEMA

ROOT = Path(__file__).parents[1]
CORES = sorted(os.sched_getaffinity(0))
MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
SCRIPT = (
    'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = io.open(%r, "rb"):read("*a")\n'
)


@dataclass(frozen=True)
class Server:
    "How a server is started, and how it is asked."

    name: str
    command: Sequence[str]
    url: str
    path: str
    body: Any
    batch_path: str = ""
    batch: Any = None  # a function from a number of rows to a body
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Heard:
    "What the callers of one server measured."

    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


def rows(count: int) -> list[list[float]]:
    "Rows inside every range, hardly two of them alike."
    return [
        [round(f.low + (f.high - f.low) * ((i * 37 + j * 11) % 101) / 101, 2) for j, f in enumerate(SCHEMA.features)]
        for i in range(count)
    ]


def named(count: int) -> list[dict[str, float]]:
    return [dict(zip(SCHEMA.names, row, strict=True)) for row in rows(count)]


def pinned(core: int, command: Sequence[str]) -> list[str]:
    "The command on one core; anywhere, where there is only one."
    return ["taskset", "-c", str(CORES[core]), *command] if len(CORES) > 1 else list(command)


def post(url: str, body: Any) -> int:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(answer.status)


@contextmanager
def running(server: Server, patience: float = 120, everywhere: bool = False) -> Iterator[tuple[float, int]]:
    "The server, from its first good answer on: seconds until then, and its process group."
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            list(server.command) if everywhere else pinned(0, server.command),
            env={**os.environ, **server.environ},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            while True:
                try:
                    if post(server.url + server.path, server.body) < 300:
                        break
                except OSError:
                    time.sleep(0.02)
                if process.poll() is not None or time.perf_counter() - begin > patience:
                    said.seek(0)
                    raise SystemExit(f"{server.name} does not answer:\n{said.read().decode()[-2000:]}")
            yield time.perf_counter() - begin, process.pid
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(10)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def memory(group: int) -> float:
    "Resident MiB of a process group."
    told = subprocess.run(["ps", "-o", "rss=", "-g", str(group)], capture_output=True, text=True, check=False).stdout
    return sum(map(int, told.split())) / 1024


def call(url: str, body: Any, connections: int, seconds: float = 5, warm_up: float = 1) -> Heard:
    "Ask as fast as so many callers can, each waiting for its answer."
    wrk = shutil.which("wrk") or sys.exit("The benchmarks need wrk: apt install wrk")
    with tempfile.TemporaryDirectory() as folder:
        said, script = Path(folder, "body.json"), Path(folder, "post.lua")
        said.write_text(json.dumps(body))
        script.write_text(SCRIPT % str(said))
        for length in (warm_up, seconds):
            command = [
                wrk,
                "-t1",
                f"-c{connections}",
                f"-d{length:g}s",
                "--timeout",
                "30s",
                "--latency",
                "-s",
                str(script),
            ]
            out = subprocess.run(pinned(-1, [*command, url]), capture_output=True, text=True, check=True).stdout
    quantiles = {q: float(v) * MS[unit] for q, v, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", out)}
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    per_second = float(re.findall(r"Requests/sec:\s+([\d.]+)", out)[0])
    return Heard(per_second, quantiles["50"], quantiles["99"], int(failed[1]) if failed else 0)


def median(found: Sequence[Heard]) -> Heard:
    columns = zip(*((h.per_second, h.p50_ms, h.p99_ms, h.failed) for h in found), strict=True)
    return Heard(*(statistics.median(column) for column in columns))


def make_home(folder: Path) -> Path:
    "A home with a champion: the plainest candidate, trained here."
    from iris_nb.bundle import Card, point_champion, write_bundle
    from iris_nb.train.candidates import build, candidate
    from iris_nb.train.data import arrays, load
    from iris_nb.train.onnx_export import to_onnx

    X, y = arrays(load())
    fitted = build(candidate("logistic_regression")).fit(X, y)
    card = Card(f"{SCHEMA.name}_logistic_regression", "1", "2026-01-01T00:00:00+00:00", SCHEMA)
    golden = (X[::10], fitted.predict_proba(X[::10]))
    labels = [SCHEMA.classes[i] for i in y]
    made = write_bundle(folder / "bundles", card, to_onnx(fitted), golden, (X, labels))
    point_champion(folder / "bundles", made.name)
    return folder


def ours(home: Path, port: int = 8190, **environ: str) -> Server:
    "The service of this project, as `make serve` starts it."
    settings = {"IRIS_HOME": str(home), "IRIS_PORT": str(port)} | environ
    return Server(
        "iris_nb",
        [sys.executable, "-m", "serve"],
        f"http://127.0.0.1:{port}",
        "/predict",
        named(1)[0],
        "/predict/batch",
        lambda count: {"samples": named(count)},
        settings,
    )
