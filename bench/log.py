"""How quickly the audit log writes and reads, without a service around it.

    .venv/bin/python bench/log.py [ADDRESS] [--rows 1000000] [--sync full]

ADDRESS is a path or a database's address; without one it is a SQLite file in a temporary folder. First, groups of
several sizes are appended: rows a second and microseconds of processor time for each row, of the best and of the median
group. Then the log is filled up to `--rows`, and at every tenfold size the newest page, the deepest page, a page of a
rare class and one row by its id are read: the median of twenty, in milliseconds. Last, the chain is verified.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import count

from iris_nb.audit.log import AuditLog, Entry
from iris_nb.audit.maintenance import verify
from iris_nb.table import SCHEMA

START = 1_777_636_800_000_000
numbers, requests = count(), count()


def entries(rows: int) -> list[Entry]:
    "One request of so many rows; the last class is predicted for one row in five thousand."
    features = [tuple(float(f.example) for f in SCHEMA.features)] * rows
    labels = [SCHEMA.classes[-1] if next(numbers) % 5000 == 0 else SCHEMA.classes[i % 2] for i in range(rows)]
    shares = [random.random() for _ in range(rows)]
    chances = [(share, 1 - share, *(0.0 for _ in SCHEMA.classes[2:])) for share in shares]
    number = next(requests)
    first, moment = f"0190a5b2-1234-7abc-{number:07x}00000", START + number * 1000
    return [Entry(first, "bench", moment, "model", "1", 1.25, "bench", features, labels, shares, chances)]


def writing(log: AuditLog, rows: int, groups: int) -> str:
    walls, works = [], []
    for _ in range(groups):
        group = entries(rows)
        wall, work = time.perf_counter(), time.process_time()
        log.append(group)
        walls.append(time.perf_counter() - wall)
        works.append(time.process_time() - work)
    best, usual = (f"{rows / pick(walls):11,.0f} {pick(works) / rows * 1e6:8.1f}" for pick in (min, statistics.median))
    return f"{rows:7,} {best} {usual}"


def median_ms(ask: Callable[[], object]) -> float:
    took = []
    for _ in range(20):
        begun = time.perf_counter()
        ask()
        took.append(time.perf_counter() - begun)
    return statistics.median(took) * 1000


def reading(log: AuditLog) -> str:
    newest = log.latest(1)[0]
    deep = f"{START + 200_000}-{newest['seq']}-{newest['seq']}"
    asked = [
        lambda: log.history(100),
        lambda: log.history(100, before=deep),
        lambda: log.history(100, label=SCHEMA.classes[-1]),
        lambda: log.get(newest["id"]),
    ]
    return f"{log.count():11,} " + " ".join(f"{median_ms(ask):8.2f}" for ask in asked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", nargs="?")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--sync", choices=["full", "normal"], default="full")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as home,
        AuditLog.open(asked.address or f"{home}/audit.db", sync=asked.sync) as log,
    ):
        print("  group      best/s  us work     median/s  us work", flush=True)
        for rows, groups in ((1, 1000), (32, 500), (1000, 40), (10_000, 4)):
            print(writing(log, rows, groups), flush=True)
        print("\n       rows   newest  deepest     rare    by id   (ms)")
        for power in range(5, 12):
            size = min(10**power, asked.rows)
            while (lacking := size - log.count()) > 0:
                log.append(entries(min(lacking, 5000)))
            print(reading(log), flush=True)
            if size == asked.rows:
                break
        begun = time.perf_counter()
        verdict = verify(log)
        print(f"\n{verdict} ({log.count() / (time.perf_counter() - begun):,.0f} rows/s)")


if __name__ == "__main__":
    main()
