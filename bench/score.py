"""Rows a second of `iris-nb score` against pandas and `predict_proba`, on the same file in one run, and peak memory.

    .venv/bin/python -m bench.score [--rows 1000000 10000000] [--candidate lda] [--times 3]

Both read a Parquet file, answer every row and write a Parquet file with the class, its probability and those of all
classes. pandas reads the whole file, asks the fitted scikit-learn pipeline once and checks nothing; `iris-nb score`
checks every row as the service would. Each runs in a process of its own, in turns, and the median is told. Peak memory
is what the kernel says of that process.
"""

import argparse
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
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
frame = pd.read_parquet(source)
P = model.predict_proba(frame[names].to_numpy())
frame["predicted"] = np.array(classes)[P.argmax(axis=1)]
frame["confidence"] = P.max(axis=1)
for k, name in enumerate(classes):
    frame["probability_" + name] = P[:, k]
frame.to_parquet(target)
"""


def make_rows(path: Path, rows: int) -> None:
    "A file of flowers like those that were measured, to a tenth of a millimetre."
    X, _ = arrays(load())
    rng, ids = np.random.default_rng(0), np.arange(rows)
    low, high = (np.array([getattr(f, end) for f in SCHEMA.features]) for end in ("low", "high"))
    writer = None
    for part in np.array_split(ids, max(1, rows // 500_000)):
        many = (X[rng.integers(0, len(X), len(part))] + rng.normal(0, 0.2, (len(part), X.shape[1]))).round(2)
        many = many.clip(low, high)
        table = pa.table({"id": part, **{name: many[:, j] for j, name in enumerate(SCHEMA.names)}})
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def run(command: list[str]) -> tuple[float, float]:
    "Seconds and peak MiB of a command."
    measure = "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL); "
    measure += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(done.returncode)"
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", measure, *command], capture_output=True, text=True, check=True)
    return time.perf_counter() - began, int(done.stdout.split()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--candidate", default="lda")
    parser.add_argument("--times", type=int, default=3)
    wanted = parser.parse_args()
    X, y = arrays(load())
    model = build(candidate(wanted.candidate)).fit(X, y)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        card = Card(f"{SCHEMA.name}_{wanted.candidate}", "1", "2026-01-01T00:00:00+00:00", SCHEMA)
        bundle = write_bundle(home, card, to_onnx(model), (X, model.predict_proba(X)), (X, load()[SCHEMA.target]))
        print(f"{wanted.candidate}, Parquet to Parquet, median of {wanted.times}\n")
        print("| rows | pandas, rows/s | MiB | iris-nb score, rows/s | MiB | ratio |\n|---|---|---|---|---|---|")
        for rows in wanted.rows:
            source, target = home / "rows.parquet", home / "answers.parquet"
            make_rows(source, rows)
            job = home / "job.pickle"
            job.write_bytes(pickle.dumps((model, source, target, list(SCHEMA.names), SCHEMA.classes)))
            commands = {
                "pandas": [sys.executable, "-c", PANDAS, str(job)],
                "score": ["iris-nb", "score", str(source), "-o", str(target), "--bundle", str(bundle)],
            }
            commands["score"][0] = str(Path(sys.executable).parent / "iris-nb")
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
            for _ in range(wanted.times):
                for name, command in commands.items():
                    target.unlink(missing_ok=True)  # both write a new file
                    found[name].append(run(command))
            seconds = {name: statistics.median(s for s, _ in values) for name, values in found.items()}
            peak = {name: max(m for _, m in values) for name, values in found.items()}
            print(
                f"| {rows:,} | {rows / seconds['pandas']:,.0f} | {peak['pandas']:,.0f} | "
                f"{rows / seconds['score']:,.0f} | {peak['score']:,.0f} | {seconds['pandas'] / seconds['score']:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
