"""The service alone: throughput and latency by callers, rows in a batch, workers, and rows already in the log.

    make bench            or: .venv/bin/python -m bench.service [--seconds 5] [--rows 1000000]

Every row that is answered is on disk before (IRIS_AUDIT_SYNC=full). See bench/README.md.
"""

import argparse
import tempfile
from pathlib import Path

from bench.harness import CORES, call, make_home, memory, named, ours, running
from iris_nb.audit.log import AuditLog

TITLES = ("", "requests/s", "rows/s", "p50 ms", "p99 ms")


def told(*cells: object) -> None:
    "One line of a table."
    print("| " + " | ".join(f"{c:,.1f}" if isinstance(c, float) else str(c) for c in cells) + " |", flush=True)


def table(title: str) -> None:
    print(f"\n{title}\n")
    told(*TITLES)
    told("---", *["---:"] * 4)


def measure(home: Path, label: str, rows: int, connections: int, seconds: float, **environ: str) -> None:
    server = ours(home, **environ)
    path, body = ("/predict", server.body) if rows == 1 else ("/predict/batch", {"samples": named(rows)})
    with running(server, everywhere="IRIS_WORKERS" in environ):
        heard = call(server.url + path, body, connections, seconds)
    told(label, heard.per_second, heard.per_second * rows, heard.p50_ms, heard.p99_ms)
    if heard.failed:
        print(f"({heard.failed} requests failed)")


def fill(home: Path, rows: int) -> None:
    "Predictions in the log, as the service writes them."
    from bench.log import entries

    with AuditLog.open(home / "audit.db", sync="normal") as log:
        while (missing := rows - log.count()) > 0:
            log.append(entries(min(missing, 5000)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows in the log at the last measurement")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder))
        with running(ours(home)) as (seconds, group):
            print(f"first answer after {seconds:.2f} s, {memory(group):.0f} MiB")
        table("One row a request")
        for connections in (1, 4, 16, 32, 64, 256):
            measure(home, f"{connections} callers", 1, connections, asked.seconds)
        table("Many rows a request, 4 callers")
        for rows in (1, 10, 100, 1000, 10_000):
            measure(home, f"{rows:,} rows", rows, 4, asked.seconds, IRIS_QUEUE="100000")
        table("Workers on all cores, shared with the 32 callers")
        for workers in range(1, len(CORES) + 1):
            measure(home, f"{workers} workers", 1, 32, asked.seconds, IRIS_WORKERS=str(workers))
        table("Rows already in the log, 32 callers")
        for rows in (asked.rows // 100, asked.rows // 10, asked.rows):
            fill(home, rows)
            measure(home, f"{rows:,} rows", 1, 32, asked.seconds)


if __name__ == "__main__":
    main()
