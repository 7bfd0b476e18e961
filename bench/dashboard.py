"""How long the dashboard takes to its first chart, by rows in the log, and beside it a stock Voila notebook.

    .venv/bin/python bench/dashboard.py [--rows 0 10000 1000000] [--times 3]

For each size a log is filled, the dashboard is started as `make dashboard` starts it, and a browser opens the page:
seconds until the first chart is drawn, with a kernel preheated (the median of some visits), and the memory of that
kernel. Then the same for a notebook as one would write it in an hour: `pd.read_sql` of the whole log and the same
charts, under Voila as it is installed. The last column is how many times longer that takes.
"""

import argparse
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from iris_nb.audit import AuditLog, Entry  # noqa: E402
from iris_nb.bundle import champion  # noqa: E402
from iris_nb.page import home_folder  # noqa: E402
from iris_nb.schema import SCHEMA  # noqa: E402
from tests.browser import ARGUMENTS, find  # noqa: E402

ROOT = Path(__file__).parents[1]
STOCK = """
import pandas as pd, plotly.express as px
log = pd.read_sql("SELECT * FROM predictions", "sqlite:///{log}")
log["when"] = pd.to_datetime(log["time"], unit="us")
by_hour = log.resample("30min", on="when")
px.bar(by_hour.size().reset_index(name="rows"), x="when", y="rows").show()
px.line(by_hour["duration_ms"].quantile([0.5, 0.95]).unstack().reset_index(), x="when", y=[0.5, 0.95]).show()
px.bar(log["label"].value_counts()).show()
px.histogram(log, x="confidence").show()
log.sort_values("time").tail(15)
"""


def fill(path: Path, rows: int) -> None:
    "Append rows of the last day until the log holds so many."
    with AuditLog.open(path, sync="normal") as log:
        have, day = log.count(), 86_400_000_000
        first = time.time_ns() // 1000 - day + 60_000_000
        for start in range(have, rows, 5000):
            group = []
            for i in range(start, min(start + 5000, rows)):
                share = random.uniform(0.5, 1)
                values = tuple(random.gauss(f.example, 0.1 * f.example) for f in SCHEMA.features)
                chances = (share, 1 - share, *(0.0 for _ in SCHEMA.classes[2:]))
                moment = first + (day - 120_000_000) * i // rows
                label = SCHEMA.classes[i % 2]
                answer = [values], [label], [share], [chances]
                group.append(Entry(f"{i:027x}00000", f"{i:x}", moment, "model", "1", 1.0, None, *answer))
            log.append(group)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def megabytes(pid: int) -> float:
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@contextmanager
def running(command: list[str], environ: dict[str, str], out: Path) -> Iterator[subprocess.Popen[bytes]]:
    with out.open("wb") as file:
        program = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environ}, stdout=file, stderr=file)
    try:
        yield program
    finally:
        program.terminate()
        program.wait(30)


def wait_for(text: str, out: Path, times: int) -> None:
    while out.read_text().count(text) < times:
        time.sleep(0.2)


def visits(browser: Browser, url: str, ready: str, out: Path, times: int) -> Iterator[float]:
    for i in range(times):
        wait_for(ready, out, i + 1)
        page = browser.new_page()
        page.route(lambda address: "127.0.0.1" not in address, lambda route: route.abort())
        began = time.perf_counter()
        page.goto(url, wait_until="commit", timeout=600_000)
        page.wait_for_selector(".js-plotly-plot .main-svg", timeout=600_000)
        yield time.perf_counter() - began
        page.close()


def ours(browser: Browser, home: Path, times: int) -> tuple[float, float]:
    "Seconds to the first chart, and megabytes of the kernel that drew it."
    port, out = free_port(), home / "dashboard.out"
    environ = {"IRIS_HOME": str(home), "IRIS_DASHBOARD_PORT": str(port)}
    with running([sys.executable, "-m", "iris_nb.dashboard"], environ, out) as program:
        took = list(visits(browser, f"http://127.0.0.1:{port}/", "is filled", out, times))
        return statistics.median(took), max(map(megabytes, children(program.pid)))


def stock(browser: Browser, home: Path) -> float:
    "The same for a notebook that reads everything, under Voila as it comes."
    port, out, path = free_port(), home / "stock.out", home / "stock.ipynb"
    cell = nbformat.v4.new_code_cell(STOCK.replace("{log}", str(home / "audit.db")))
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    command = [sys.executable, "-m", "voila", str(path), "--no-browser", f"--port={port}"]
    with running(command, {}, out):
        return next(visits(browser, f"http://127.0.0.1:{port}/", "is running at", out, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[0, 10_000, 1_000_000])
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    home = Path(tempfile.mkdtemp())
    bundles = home_folder() / "bundles"
    if champion(bundles) is None:
        raise SystemExit("There is no champion whose answers could be drawn: run `make train` first.")
    shutil.copytree(bundles, home / "bundles")
    print(
        f"{'rows':>11} {'first chart s':>14} {'of empty':>9} {'kernel MB':>10} {'stock s':>8} {'ratio':>6}", flush=True
    )
    try:
        with sync_playwright() as p:
            browser, empty = p.chromium.launch(executable_path=find(), args=ARGUMENTS), None
            for rows in sorted(arguments.rows):
                fill(home / "audit.db", rows)
                seconds, memory = ours(browser, home, arguments.times)
                empty = empty or seconds
                slow = stock(browser, home) if rows else float("nan")
                ratios = f"{seconds / empty:9.2f} {memory:10.0f} {slow:8.1f} {slow / seconds:6.1f}"
                print(f"{rows:11,} {seconds:14.2f} {ratios}", flush=True)
            browser.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
