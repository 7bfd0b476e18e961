"""Seconds from `iris-nb train` to a champion, and where they go.

    .venv/bin/python -m bench.train [--times 3]

Each time in a fresh home, with the notebook's defaults. papermill notes in the executed notebook how long every cell
took, so the time can be told apart: cells that fit and measure models, cells that talk to MLflow or write the bundle,
imports, and what is left is the command itself, papermill and the start and end of its kernel.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
KINDS = {
    "fitting and measuring": ("cross_validate(", "fitted =", "learning_curve(", "importance(", "coverage(", "median("),
    "MLflow and the bundle": ("tracking.", "write_bundle("),
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3)
    found = [train_once() for _ in range(parser.parse_args().times)]
    print("| | seconds | share |\n|---|---|---|")
    total = statistics.median(spent["in all"] for spent in found)
    for name in found[0]:
        seconds = statistics.median(spent.get(name, 0) for spent in found)
        print(f"| {name} | {seconds:.1f} | {seconds / total:.0%} |")


if __name__ == "__main__":
    main()
