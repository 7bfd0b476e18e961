"""Seconds and memory of one judgement, and of the dashboard's first picture, by the rows of the training sample.

    .venv/bin/python -m bench.watch [--rows 150 100000] [--features 30]

Each in a process of its own, from its start to its end, on a bundle whose reference sample has that many rows and on a
log of 5,000 predictions, in which one feature has drifted.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from iris_nb.audit.log import AuditLog, Entry
from iris_nb.bundle import Card, point_champion, write_bundle
from iris_nb.predict.predictor import Predictor
from iris_nb.schema import Number, Schema

NOWHERE = "http://127.0.0.1:9"  # no service answers there


def schema(features: int) -> Schema:
    "Return a table of so many measurements and two classes."
    columns = (Number(f"x{i:03}", "cm", -100, 100, "A measurement.", 0.0) for i in range(features))
    return Schema("wide", "row", tuple(columns), "kind", ("no", "yes"))


def prepare(home: Path, rows: int, features: int) -> None:
    "Write a bundle that was trained on so many rows, and a log."
    from sklearn.linear_model import LogisticRegression

    from iris_nb.train.onnx_export import to_onnx

    made, random = schema(features), np.random.default_rng(0)
    X = random.normal(size=(rows, features)).round(6)
    y = (X[:, 0] + random.normal(size=rows) > 0).astype(int)
    model = LogisticRegression().fit(X, y)
    P = model.predict_proba(X)
    onnx = to_onnx(model, made)
    card = Card("wide_logistic", "1", "2026-05-01T08:00:00+00:00", made)
    reference = X, [made.classes[i] for i in y]
    folder = write_bundle(home / "bundles", card, onnx, (X[:20], P[:20]), reference, 1 - P[np.arange(rows), y])
    point_champion(home / "bundles", folder.name)
    predictor, now = Predictor.load(folder, made), time.time_ns() // 1000 - 3_600_000_000
    asked = random.normal(size=(5000, features))
    asked[:, -1] += 0.5
    answers = predictor.probabilities(asked)
    labels = predictor.labels(answers)
    with AuditLog.open(home / "audit.db", made) as log:
        log.append(
            [
                Entry(f"{now + i}-00000", f"r{i}", now + i, card.name, "1", 1.0, None, [x], [label], [max(p)], [p])
                for i, (x, p, label) in enumerate(zip(asked.tolist(), answers.tolist(), labels, strict=True))
            ]
        )


def judge(home: Path, features: int) -> None:
    "Judge the last day, as `iris-nb watch` does."
    from iris_nb.monitor.watch import report_of
    from iris_nb.predict.predictor import load_champion

    made = schema(features)
    report = report_of(str(home / "audit.db"), "24h", load_champion(home / "bundles", made), made)
    assert report.state == "alarm", report


def draw(home: Path, features: int) -> None:
    "Make the first picture of the dashboard."
    from iris_nb.dashboard.app import Source, early_picture
    from iris_nb.dashboard.page import View

    picture, _ = early_picture(Source(home, str(home / "audit.db"), NOWHERE, schema(features)), View())
    assert "data-figure" in picture


def peak() -> float:
    "Return the most memory that this process held, in MiB; `ru_maxrss` would count what the parent held at the start."
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def measured(step: str, home: Path, features: int) -> tuple[float, ...]:
    "Return the seconds, the seconds of processor and the MiB of one step in a process of its own."
    command = [sys.executable, "-m", "bench.watch", "--step", step, "--home", str(home), "--features", str(features)]
    began = time.perf_counter()
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return time.perf_counter() - began, *map(float, said.split())


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the watch and the dashboard on large training samples.")
    parser.add_argument("--rows", type=int, nargs="+", default=[150, 100_000])
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--step", choices=["judge", "draw"], help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        {"judge": judge, "draw": draw}[given.step](given.home, given.features)
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(used.ru_utime + used.ru_stime, peak())
        return
    print("| training rows | watch, s | of processor | MiB | first picture, s | of processor | MiB |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for rows in given.rows:
        with tempfile.TemporaryDirectory() as home:
            prepare(Path(home), rows, given.features)
            figures = [figure for step in ("judge", "draw") for figure in measured(step, Path(home), given.features)]
            print(f"| {rows:,} |", " | ".join(f"{figure:.1f}" for figure in figures), "|")


if __name__ == "__main__":
    main()
