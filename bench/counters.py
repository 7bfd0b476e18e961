"""What counting a prediction costs: plain numbers (`serve/counters.py`) beside prometheus_client for several processes.

Run: `PYTHONPATH=. .venv/bin/python bench/counters.py`. Both count the same in one run: a request by method, path and
status with its duration, and a group of rows with their classes and confidences. Only the ratio travels to other
machines.
"""

import os
import tempfile
import time
from collections.abc import Callable

CLASSES = ["one", "two", "three"]


def seconds_each(count: Callable[[], None], times: int = 5_000, repeats: int = 5) -> float:
    "Return the best time of one call."
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        for _ in range(times):
            count()
        best = min(best, (time.perf_counter() - begin) / times)
    return best


def plain(rows: int) -> Callable[[], None]:
    "Return what counts a request of some rows the way the service does."
    from serve.metrics import Metrics

    metrics, labels, confidences = Metrics(dict), (CLASSES * rows)[:rows], [0.5 + i % 5 / 10 for i in range(rows)]

    def count() -> None:
        metrics.request("POST", "/predict", 200, 0.0012)
        metrics.group(labels, confidences, 0.001)

    return count


def multiprocess(rows: int) -> Callable[[], None]:
    "Return what counts the same with prometheus_client, whose values lie in memory-mapped files."
    from prometheus_client import CollectorRegistry, Counter, Histogram

    from serve.counters import CONFIDENCES, SECONDS, SIZES

    registry = CollectorRegistry()
    requests = Counter("requests", "-", ("method", "path", "status"), registry=registry)
    seconds = Histogram("seconds", "-", ("path",), buckets=SECONDS, registry=registry)
    classes = Counter("classes", "-", ("label",), registry=registry)
    confidence = Histogram("confidence", "-", buckets=CONFIDENCES, registry=registry)
    group_rows = Histogram("group_rows", "-", buckets=SIZES, registry=registry)
    commit = Histogram("commit", "-", buckets=SECONDS, registry=registry)
    labels, confidences = (CLASSES * rows)[:rows], [0.5 + i % 5 / 10 for i in range(rows)]

    def count() -> None:
        requests.labels("POST", "/predict", "200").inc()
        seconds.labels("/predict").observe(0.0012)
        for label in set(labels):
            classes.labels(label).inc(labels.count(label))
        for value in confidences:
            confidence.observe(value)
        group_rows.observe(rows)
        commit.observe(0.001)

    return count


def main() -> None:
    "Print both times and their ratio, for one row and for a thousand."
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # read when prometheus_client is imported
        for rows, times in ((1, 5_000), (1_000, 20)):
            ours, theirs = seconds_each(plain(rows), times), seconds_each(multiprocess(rows), times)
            times_as_long = theirs / ours
            print(
                f"{rows:5,} rows: plain {ours * 1e6:.1f} us, several {theirs * 1e6:.1f} us: {times_as_long:.1f} times"
            )


if __name__ == "__main__":
    main()
