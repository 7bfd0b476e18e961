"""How long the dashboard takes to its first chart, by rows in the log, and beside it a stock Voila notebook.

    .venv/bin/python bench/dashboard.py [--rows 0 10000 1000000 10000000] [--times 3] [--logs FOLDER] [--out FILE]

Writes bench/dashboard.csv, which nbs/api/dashboard/01_widgets.ipynb shows: run that notebook again afterwards.

For each size a log of the last day is filled with rows that were drawn around the training sample and answered by the
champion. Then the dashboard is started as `make dashboard` starts it, and as soon as its preheated kernel has come to
rest, a browser opens the page: seconds from the navigation until the first chart is drawn, until the last one is, and
the memory of the kernel. Without rows the first chart is what the champion says of the example.

Beside it a notebook as one would write it in an hour: `pd.read_sql` of the whole log, the same charts in the same
order, the same Kolmogorov-Smirnov distances, under Voila as it is installed, which starts a kernel for every visitor.
It is timed by the same rule. It is a careful author's: what it sends to the browser is counted beforehand, and it takes
no trouble with false alarms, intervals or prediction sets. It is not asked about more rows than --stock-most.

With --logs the logs are kept and used again on the same day; ten million rows take some minutes to write, and 3 GB.
"""

import argparse
import csv
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from iris_nb.audit.log import AuditLog, Entry  # noqa: E402
from iris_nb.bundle import champion  # noqa: E402
from iris_nb.config import home_folder  # noqa: E402
from iris_nb.predict.predictor import Predictor  # noqa: E402
from iris_nb.table import SCHEMA  # noqa: E402
from tests.running import free_port  # noqa: E402
from tests.tools import CHROMIUM_OPTIONS, find  # noqa: E402

ROOT = Path(__file__).parents[1]
CHART = ".js-plotly-plot .main-svg"
DAY = 86_400_000_000
COLUMNS = ("rows", "first_chart_s", "all_charts_s", "kernel_mb", "stock_first_chart_s", "stock_all_charts_s", "visits")
STOCK = """
import numpy as np, pandas as pd, plotly.express as px
from scipy.stats import ks_2samp

log = pd.read_sql("SELECT * FROM predictions", "sqlite:///{log}")
trained = pd.read_csv("{reference}")
log["when"] = pd.to_datetime(log["time"], unit="us")
by_time = log.resample("30min", on="when")
px.bar(by_time.size().reset_index(name="rows"), x="when", y="rows").show()
px.line(by_time["duration_ms"].quantile([0.5, 0.95, 1]).unstack()).show()
px.bar(log["label"].value_counts()).show()
counts, edges = np.histogram(log["confidence"], 14)
px.bar(x=edges[:-1], y=counts).show()
for name in {features}:
    edges = np.histogram_bin_edges(log[name], 24)
    both = {"training": trained[name], "now": log[name]}
    shares = {what: np.histogram(values, edges)[0] / len(values) for what, values in both.items()}
    px.line(pd.DataFrame(shares, index=edges[:-1]), line_shape="hvh", title=str(ks_2samp(*both.values()))).show()
    pieces = log.resample("2h", on="when")[name].agg(lambda piece: ks_2samp(trained[name], piece).statistic)
    px.line(pieces.reset_index(), x="when", y=name, markers=True).show()
px.line(by_time["confidence"].mean().reset_index(), x="when", y="confidence").show()
log.sort_values("time").tail(15)
"""


def entries(predictor: Predictor, first: int, step: float, numbers: range, rng: np.random.Generator) -> list[Entry]:
    "Rows around the training sample, each asked for by itself."
    X, card = predictor.bundle.reference[0], predictor.card
    drawn = X[rng.integers(0, len(X), len(numbers))] + rng.normal(0, 0.1, (len(numbers), X.shape[1])) * X.std(axis=0)
    drawn = np.clip(drawn, [f.low for f in SCHEMA.features], [f.high for f in SCHEMA.features])
    P, took = predictor.probabilities(drawn), rng.lognormal(0, 0.4, len(numbers)).tolist()
    answers = zip(numbers, drawn.tolist(), P.tolist(), predictor.labels(P), took, strict=True)
    return [
        Entry(
            id=f"{i:027x}00000",
            request_id=f"{i:x}",
            time=first + int(i * step),
            model_name=card.name,
            model_version=card.version,
            duration_ms=ms,
            caller=None,
            features=[x],
            labels=[label],
            confidences=[max(p)],
            probabilities=[p],
        )
        for i, x, p, label, ms in answers
    ]


def fill(path: Path, bundles: Path, rows: int) -> None:
    "A log of the last day with so many rows, where there is none yet."
    if path.exists():
        return
    predictor, rng = Predictor.load(champion(bundles)), np.random.default_rng(0)
    first, aside = time.time_ns() // 1000 - DAY, path.with_suffix(".part")
    with AuditLog.open(aside, sync="normal") as log:
        for start in range(0, rows, 5000):
            group = range(start, min(start + 5000, rows))
            log.append(entries(predictor, first, DAY / rows, group, rng))
    aside.rename(path)


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def megabytes(pid: int) -> float:
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def ticks(pid: int) -> int:
    "Hundredths of a second that a process has worked."
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def at_rest(pid: int, kernels: int, seconds: int = 4) -> None:
    "Wait until so many kernels of a server have been started and none has worked for some seconds."
    quiet, before = 0, -1
    while quiet < seconds:
        time.sleep(1)
        now = sum(map(ticks, children(pid))) if len(children(pid)) >= kernels else -1
        quiet, before = (quiet + 1 if now >= 0 and now - before <= 2 else 0), now


@contextmanager
def running(command: list[str], environ: dict[str, str], out: Path) -> Iterator[subprocess.Popen[bytes]]:
    with out.open("wb") as file:
        program = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environ}, stdout=file, stderr=file)
    try:
        yield program
    finally:
        program.terminate()
        program.wait(60)


def visit(browser: Browser, url: str, whole: Callable[[Page], Any]) -> tuple[float, float]:
    "Seconds from the navigation to the first chart that is drawn, and to the last."
    page = browser.new_page()
    page.set_default_timeout(900_000)
    page.route(lambda address: "127.0.0.1" not in address, lambda route: route.abort())
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(CHART)
    first = time.perf_counter() - began
    whole(page)
    last = time.perf_counter() - began
    page.close()
    return first, last


def filled(page: Page) -> None:
    "Wait until the last part of the dashboard is there and no figure waits to be drawn."
    page.wait_for_function("""() => {
        const last = document.querySelector("#one")?.closest(".panel");
        const waiting = document.querySelector("#first, [data-figure], [data-rest]");
        return last && !waiting && (last.querySelector(".note") || !last.offsetParent);
    }""")


def medians(visits: list[tuple[float, float]]) -> tuple[float, float]:
    first, last = zip(*visits, strict=True)
    return statistics.median(first), statistics.median(last)


def ours(browser: Browser, home: Path, times: int) -> tuple[float, float, float]:
    "Seconds to the first chart and to the last, and megabytes of the kernel that drew them."
    port, out = free_port(), home / "dashboard.out"
    environ = {"IRIS_HOME": str(home), "IRIS_DASHBOARD_PORT": str(port), "IRIS_PORT": str(free_port())}
    visits, memory = [], 0.0
    with running([sys.executable, "-m", "iris_nb.run.servers"], environ, out) as program:
        for i in range(times):
            at_rest(program.pid, i + 1)
            visits.append(visit(browser, f"http://127.0.0.1:{port}/", filled))
            memory = max(memory, *map(megabytes, children(program.pid)))
    return *medians(visits), memory


def stock(browser: Browser, home: Path, times: int) -> tuple[float, float]:
    "The same for a notebook that reads everything, under Voila as it comes."
    port, out, path = free_port(), home / "stock.out", home / "stock.ipynb"
    said = {"log": home / "audit.db", "reference": champion(home / "bundles") / "reference.csv"}
    source = STOCK
    for name, value in {**said, "features": list(SCHEMA.names)}.items():
        source = source.replace(f"{{{name}}}", str(value))
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), path)
    command = [sys.executable, "-m", "voila", str(path), "--no-browser", f"--port={port}"]
    figures = 5 + 2 * len(SCHEMA.features)
    drawn = f"document.querySelectorAll('{CHART}').length >= {figures}"
    with running(command, {}, out):
        while "is running at" not in out.read_text():
            time.sleep(0.2)
        url = f"http://127.0.0.1:{port}/"
        return medians([visit(browser, url, lambda page: page.wait_for_function(drawn)) for _ in range(times)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[0, 10_000, 1_000_000, 10_000_000])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--logs", type=Path, help="a folder for the logs, which are kept")
    parser.add_argument("--stock-most", type=int, default=1_000_000, help="rows that the stock notebook can stand")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"), help="the table")
    arguments = parser.parse_args()
    bundles = home_folder() / "bundles"
    if champion(bundles) is None:
        raise SystemExit("There is no champion whose answers could be drawn: run `make train` first.")
    logs = arguments.logs or Path(tempfile.mkdtemp())
    print(" ".join(f"{head:>19}" for head in COLUMNS), flush=True)
    lines: list[list[object]] = []
    try:
        with sync_playwright() as p:
            browser = p.chromium.launch(executable_path=find("chromium"), args=CHROMIUM_OPTIONS)
            for rows in sorted(arguments.rows):
                home = logs / str(rows)
                shutil.copytree(bundles, home / "bundles", dirs_exist_ok=True)
                fill(home / "audit.db", bundles, rows)
                found = ours(browser, home, arguments.times)
                compared = 0 < rows <= arguments.stock_most
                slow = stock(browser, home, arguments.times) if compared else ()
                figures = [f"{figure:.2f}" for figure in (*found, *slow)]
                lines.append([rows, *figures, *[""] * (5 - len(figures)), arguments.times])
                print(" ".join(f"{figure:>19}" for figure in lines[-1]), flush=True)
            browser.close()
        with arguments.out.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *lines])
    finally:
        if not arguments.logs:
            shutil.rmtree(logs, ignore_errors=True)


if __name__ == "__main__":
    main()
