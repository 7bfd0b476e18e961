"""Rows a second of `iris-nb score` against pandas and `predict_proba`, on the same file in one run, and peak memory.

    .venv/bin/python -m bench.score [--rows 1000000 10000000] [--kind parquet csv] [--candidate lda] [--times 3]

Both read a file, answer every row and write a file of the same kind with the class, its probability and those of all
classes. pandas reads the whole file, asks the fitted scikit-learn pipeline once and checks nothing; `iris-nb score`
checks every row as the service would, and counts the records a second time. Each runs in a process of its own, in
turns; seconds are medians. Peak memory and processor seconds are the kernel's figures for that process. On a machine
that does other work as well, compare the processor seconds.
"""

import argparse
import itertools
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet

from iris_nb.bundle import Card, write_bundle
from iris_nb.table import SCHEMA
from iris_nb.train.candidates import build, candidate
from iris_nb.train.data import arrays, load
from iris_nb.train.onnx_export import to_onnx

PANDAS = """
import pickle, sys
import numpy as np, pandas as pd
model, source, target, names, classes = pickle.load(open(sys.argv[1], "rb"))
kind = source.suffix[1:]
frame = getattr(pd, "read_" + kind)(source)
P = model.predict_proba(frame[names].to_numpy())
frame["predicted"] = np.array(classes)[P.argmax(axis=1)]
frame["confidence"] = P.max(axis=1)
for k, name in enumerate(classes):
    frame["probability_" + name] = P[:, k]
getattr(frame, "to_" + kind)(target, index=False)
"""


def make_rows(path: Path, rows: int) -> None:
    "Write a Parquet or CSV file of rows like those of the project's table, to two decimals."
    X, _ = arrays(load())
    rng, ids = np.random.default_rng(0), np.arange(rows)
    low, high = (np.array([getattr(f, end) for f in SCHEMA.features]) for end in ("low", "high"))
    open_writer, writer = {".parquet": parquet.ParquetWriter, ".csv": arrow_csv.CSVWriter}[path.suffix], None
    for part in np.array_split(ids, max(1, rows // 500_000)):
        many = (X[rng.integers(0, len(X), len(part))] + rng.normal(0, 0.2, (len(part), X.shape[1]))).round(2)
        many = many.clip(low, high)
        table = pa.table({"id": part, **{name: many[:, j] for j, name in enumerate(SCHEMA.names)}})
        writer = writer or open_writer(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def run(command: list[str]) -> tuple[float, float, float]:
    "Return seconds, processor seconds and peak MiB of a command."
    measure = "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL); "
    measure += "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
    measure += "print(used.ru_utime + used.ru_stime, used.ru_maxrss); sys.exit(done.returncode)"
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", measure, *command], capture_output=True, text=True, check=True)
    *_, processor, peak = done.stdout.split()
    return time.perf_counter() - began, float(processor), int(peak) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--kind", nargs="+", choices=["parquet", "csv"], default=["parquet"])
    parser.add_argument("--candidate", default="lda")
    parser.add_argument("--times", type=int, default=3)
    wanted = parser.parse_args()
    X, y = arrays(load())
    model = build(candidate(wanted.candidate)).fit(X, y)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        card = Card(f"{SCHEMA.name}_{wanted.candidate}", "1", "2026-01-01T00:00:00+00:00", SCHEMA)
        bundle = write_bundle(home, card, to_onnx(model), (X, model.predict_proba(X)), (X, load()[SCHEMA.target]))
        print(f"{wanted.candidate}, median of {wanted.times}\n")
        print(
            "| kind | rows | pandas, rows/s | processor s | MiB | iris-nb score, rows/s | processor s | MiB | ratio |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for kind, rows in itertools.product(wanted.kind, wanted.rows):
            source, target = home / f"rows.{kind}", home / f"answers.{kind}"
            make_rows(source, rows)
            job = home / "job.pickle"
            job.write_bytes(pickle.dumps((model, source, target, list(SCHEMA.names), SCHEMA.classes)))
            program = str(Path(sys.executable).parent / "iris-nb")
            commands = {
                "pandas": [sys.executable, "-c", PANDAS, str(job)],
                "score": [program, "score", str(source), "-o", str(target), "--bundle", str(bundle)],
            }
            found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
            for _ in range(wanted.times):
                for name, command in commands.items():
                    target.unlink(missing_ok=True)  # both write a new file
                    found[name].append(run(command))
            line = [kind, f"{rows:,}"]
            for runs in found.values():
                seconds, processor = (statistics.median(run[i] for run in runs) for i in (0, 1))
                line += [f"{rows / seconds:,.0f}", f"{processor:.2f}", f"{max(run[2] for run in runs):,.0f}"]
            pandas, ours = (statistics.median(run[0] for run in runs) for runs in found.values())
            print("|", " | ".join([*line, f"{pandas / ours:.1f}"]), "|", flush=True)


if __name__ == "__main__":
    main()
