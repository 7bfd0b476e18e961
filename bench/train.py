"""Seconds from `iris-nb train` to a champion, and where they go.

    .venv/bin/python -m bench.train [--times 3]
    .venv/bin/python -m bench.train --rows 100000 [--full]

Each time in a fresh home, with the notebook's defaults. With --rows instead, a made table of that many rows, thirty
features and two classes is trained on once, quickly or with the defaults (--full): seconds, memory, size of the bundle.

papermill notes in the executed notebook how long every cell
took, so the time can be told apart: cells that fit and measure models, cells that talk to MLflow or write the bundle,
imports, and what is left is the command itself, papermill and the start and end of its kernel.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
KINDS = {
    "fitting and measuring": (
        "plan_candidates(",
        "try_candidates(",
        "fit_exportable(",
        "learning_curve(",
        "importance(",
        "coverage(",
        "median(",
    ),
    "MLflow and the bundle": ("tracking.", "write_bundle(", "promote("),
}


def kind(source: str) -> str:
    "What a cell is for, by the first words of the table above that it holds."
    if source.startswith("import "):
        return "imports"
    return next((name for name, words in KINDS.items() if any(word in source for word in words)), "other cells")


def train_once() -> dict[str, float]:
    "Seconds of one training by where they went."
    with tempfile.TemporaryDirectory() as home:
        began = time.perf_counter()
        program = Path(sys.executable).parent / "iris-nb"
        environ = {**os.environ, "IRIS_HOME": home}
        subprocess.run([program, "train"], cwd=ROOT, env=environ, check=True, capture_output=True)
        total = time.perf_counter() - began
        (notebook,) = Path(home, "runs").iterdir()
        spent: dict[str, float] = {"in all": total}
        for cell in nbformat.read(notebook, 4).cells:
            if cell.cell_type == "code":
                spent[kind(cell.source)] = spent.get(kind(cell.source), 0) + cell.metadata.papermill.duration
        spent["command, papermill, kernel"] = 2 * total - sum(spent.values())
        return spent


TABLE = """
import numpy as np

from .schema import Number, Schema

SCHEMA = Schema("made", "row", tuple(Number(f"f{{i}}", "", -20, 20, "", 0) for i in range(30)), "kind", ("a", "b"))


def load_rows():
    import pandas as pd

    random = np.random.default_rng(0)
    y = random.integers(0, 2, {rows})
    X = random.normal(size=({rows}, 30))
    X[:, :10] += y[:, None]
    return pd.DataFrame(X.clip(-20, 20), columns=SCHEMA.names).assign(kind=np.array(SCHEMA.classes)[y])
"""


def train_on_made_table(rows: int, full: bool) -> None:
    "Train once in a copy of the project with another table, and print what it took."
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(ROOT / "iris_nb", copy / "iris_nb")
        shutil.copytree(ROOT / "nbs" / "pipeline", copy / "nbs" / "pipeline")
        (copy / "iris_nb" / "table.py").write_text(TABLE.format(rows=rows))
        program = [Path(sys.executable).parent / "iris-nb", "train", *([] if full else ["--quick"])]
        environ = {**os.environ, "PYTHONPATH": folder, "IRIS_HOME": str(copy / "var")}
        began = time.perf_counter()
        done = subprocess.run(program, cwd=copy, env=environ, capture_output=True, text=True)
        seconds = time.perf_counter() - began
        if done.returncode not in (0, 3):  # whether the gate agrees does not matter here
            raise SystemExit(done.stderr)
        (bundle,) = (path for path in (copy / "var" / "bundles").iterdir() if path.is_dir())
        size = sum(path.stat().st_size for path in bundle.iterdir())
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        took = f"{seconds:.0f} s, {memory >> 10} MiB in its largest process, a bundle of {size / 1e6:.1f} MB"
        print(f"{rows:,} x 30, {'full' if full else 'quick'} training: {took} ({bundle.name})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--full", action="store_true")
    given = parser.parse_args()
    if given.rows:
        train_on_made_table(given.rows, given.full)
        return
    found = [train_once() for _ in range(given.times)]
    print("| | seconds | share |\n|---|---|---|")
    total = statistics.median(spent["in all"] for spent in found)
    for name in found[0]:
        seconds = statistics.median(spent.get(name, 0) for spent in found)
        print(f"| {name} | {seconds:.1f} | {seconds / total:.0%} |")


if __name__ == "__main__":
    main()
