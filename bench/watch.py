"""Seconds and memory of one judgement, and of the dashboard's first picture, by the rows of the training sample.

    .venv/bin/python -m bench.watch [--rows 150 100000] [--features 30] [--mixed]

With `--mixed` the features are numbers, whole numbers, yes or no, categories and dates in turns, with 5 % gaps in every
second one; `--rows 10000 --features 500 --mixed` is a wide table.

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
from numpy.typing import NDArray

from iris_nb.audit.log import AuditLog, Entry
from iris_nb.bundle import Card, point_champion, write_bundle
from iris_nb.predict.predictor import Predictor
from iris_nb.schema import Category, Date, Number, Schema, YesNo, decode_row

NOWHERE = "http://127.0.0.1:9"  # no service answers there


def schema(features: int, mixed: bool) -> Schema:
    "Return a table of so many features and two classes."

    def feature(i: int) -> Number | YesNo | Category | Date:
        name, gaps = f"x{i:03}", mixed and i % 2 == 0
        kind = i % 5 if mixed and i < features - 1 else 0  # the last one drifts
        if kind == 1:
            return Number(name, "", 0, 200, "A count.", 0, whole=True, missing=gaps)
        if kind == 2:
            return YesNo(name, "A switch.", True, missing=gaps)
        if kind == 3:
            return Category(name, tuple("abcdef"), "A category.", "a", missing=gaps)
        if kind == 4:
            return Date(name, "2020-01-01", "2026-12-31", "A date.", "2022-01-01", missing=gaps)
        return Number(name, "cm", -100, 100, "A measurement.", 0.0, missing=gaps)

    return Schema("wide", "row", tuple(map(feature, range(features))), "kind", ("no", "yes"))


def draw_rows(made: Schema, rows: int, random: np.random.Generator) -> NDArray[np.float64]:
    "Return rows of the table as doubles, shape (rows, features)."
    columns = []
    for f in made.features:
        if f.is_discrete:
            x = random.choice(len(f.levels), rows).astype(float)
        elif f.is_text:
            x = random.integers(18_300, 20_500, rows).astype(float)
        else:
            x = random.poisson(20, rows).astype(float) if f.is_whole else random.normal(size=rows).round(6)
        columns.append(np.where(f.missing & (random.random(rows) < 0.05), np.nan, x))
    return np.column_stack(columns)


def prepare(home: Path, rows: int, made: Schema) -> None:
    "Write a bundle that was trained on so many rows, and a log."
    from iris_nb.train.candidates import CANDIDATES, build, candidates_for
    from iris_nb.train.onnx_export import to_onnx

    random = np.random.default_rng(0)
    X = draw_rows(made, rows, random)
    y = (np.nan_to_num(X[:, 0]) + random.normal(size=rows) > 0).astype(int)
    logistic = [c for c in CANDIDATES if c.name == "logistic_regression"]
    model = build(candidates_for(made, rows, logistic)[0][0]).fit(X, y)
    P = model.predict_proba(X)
    onnx = to_onnx(model, made)
    card = Card("wide_logistic", "1", "2026-05-01T08:00:00+00:00", made)
    reference = X, [made.classes[i] for i in y]
    folder = write_bundle(home / "bundles", card, onnx, (X[:20], P[:20]), reference, 1 - P[np.arange(rows), y])
    point_champion(home / "bundles", folder.name)
    predictor, now = Predictor.load(folder, made), time.time_ns() // 1000 - 3_600_000_000
    asked = draw_rows(made, 5000, random)
    asked[:, -1] += 0.5
    answers = predictor.probabilities(asked)
    labels = predictor.labels(answers)
    values = [list(decode_row(made, x).values()) for x in asked.tolist()]
    with AuditLog.open(home / "audit.db", made) as log:
        log.append(
            [
                Entry(f"{now + i}-00000", f"r{i}", now + i, card.name, "1", 1.0, None, [x], [label], [max(p)], [p])
                for i, (x, p, label) in enumerate(zip(values, answers.tolist(), labels, strict=True))
            ]
        )


def judge(home: Path, made: Schema) -> None:
    "Judge the last day, as `iris-nb watch` does."
    from iris_nb.monitor.watch import report_of
    from iris_nb.predict.predictor import load_champion

    report = report_of(str(home / "audit.db"), "24h", load_champion(home / "bundles", made), made)
    assert report.state == "alarm", report


def draw(home: Path, made: Schema) -> None:
    "Make the first picture of the dashboard."
    from iris_nb.dashboard.app import Source, early_picture
    from iris_nb.dashboard.page import View

    picture, _ = early_picture(Source(home, str(home / "audit.db"), NOWHERE, made), View())
    assert "data-figure" in picture


def peak() -> float:
    "Return the most memory that this process held, in MiB; `ru_maxrss` would count what the parent held at the start."
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def measured(step: str, home: Path, features: int, mixed: bool) -> tuple[float, ...]:
    "Return the seconds, the seconds of processor and the MiB of one step in a process of its own."
    command = [sys.executable, "-m", "bench.watch", "--step", step, "--home", str(home), "--features", str(features)]
    command += ["--mixed"] * mixed
    began = time.perf_counter()
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return time.perf_counter() - began, *map(float, said.split())


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the watch and the dashboard on large training samples.")
    parser.add_argument("--rows", type=int, nargs="+", default=[150, 100_000])
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--mixed", action="store_true", help="features of every kind, with gaps")
    parser.add_argument("--step", choices=["judge", "draw"], help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    made = schema(given.features, given.mixed)
    if given.step:
        {"judge": judge, "draw": draw}[given.step](given.home, made)
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(used.ru_utime + used.ru_stime, peak())
        return
    print("| training rows | watch, s | of processor | MiB | first picture, s | of processor | MiB |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for rows in given.rows:
        with tempfile.TemporaryDirectory() as home:
            prepare(Path(home), rows, made)
            steps = [measured(step, Path(home), given.features, given.mixed) for step in ("judge", "draw")]
            figures = [figure for step in steps for figure in step]
            print(f"| {rows:,} |", " | ".join(f"{figure:.1f}" for figure in figures), "|")


if __name__ == "__main__":
    main()
