"""What one worker has counted: plain numbers that can be written to a file and added up."""

import os
from bisect import bisect_left
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

import msgspec

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0, 10_000.0)
CONFIDENCES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


class Histogram(msgspec.Struct):
    "Count how many values fell up to each bound, and above the last."

    bounds: tuple[float, ...]
    counts: list[int]
    total: float = 0.0

    @classmethod
    def over(cls, bounds: tuple[float, ...]) -> "Histogram":
        "Return an empty histogram."
        return cls(bounds, [0] * (len(bounds) + 1))

    def add(self, value: float) -> None:
        "Count one value."
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_all(self, values: list[float]) -> None:
        "Count many values."
        counts, bounds = self.counts, self.bounds
        for value in values:
            counts[bisect_left(bounds, value)] += 1
        self.total += sum(values)

    def absorb(self, other: "Histogram") -> None:
        "Add what another histogram over the same bounds has counted."
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    @property
    def count(self) -> int:
        "Return how many values were counted."
        return sum(self.counts)

    def buckets(self) -> list[tuple[str, float]]:
        "Return the bounds with the number of values up to them, as Prometheus has it."
        return list(zip([*map(str, self.bounds), "+Inf"], map(float, accumulate(self.counts)), strict=True))


def _over(bounds: tuple[float, ...]) -> Histogram:
    return msgspec.field(default_factory=lambda: Histogram.over(bounds))


class Counts(msgspec.Struct):
    "Everything that is counted."

    requests: dict[str, int] = {}  # by "METHOD path status"
    seconds: dict[str, Histogram] = {}  # by path
    classes: dict[str, int] = {}
    decisions: dict[str, int] = {}
    confidence: Histogram = _over(CONFIDENCES)
    group_rows: Histogram = _over(SIZES)
    commit_seconds: Histogram = _over(SECONDS)
    audit_failures: int = 0
    latest: list[float] = []  # seconds of the latest predictions

    def absorb(self, other: "Counts") -> None:
        "Add what another worker has counted."
        for mine, its in (
            (self.requests, other.requests),
            (self.classes, other.classes),
            (self.decisions, other.decisions),
        ):
            for key, n in its.items():
                mine[key] = mine.get(key, 0) + n
        for path, histogram in other.seconds.items():
            self.seconds.setdefault(path, Histogram.over(histogram.bounds)).absorb(histogram)
        for name in ("confidence", "group_rows", "commit_seconds"):
            getattr(self, name).absorb(getattr(other, name))
        self.audit_failures += other.audit_failures
        self.latest += other.latest


class SharedCounters:
    """A folder where each worker of one service keeps its counts in a file of its own, replaced atomically.

    prometheus_client has a mode for several processes, in which each counter is a place in a memory map. Counting a
    prediction then takes 7 times as long for one row and 157 times for a thousand, 11 ms (`bench/counters.py`).
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.mine = folder, folder / f"{os.getpid()}.json"

    def put(self, counts: Counts) -> None:
        "Write this worker's counts, whole or not at all."
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = self.mine.with_suffix(".new")
        aside.write_bytes(msgspec.json.encode(counts))
        aside.replace(self.mine)

    def others(self) -> list[Counts]:
        "Return what the other workers wrote last; a file that can't be read is left out."
        found = []
        for path in self.folder.glob("*.json"):
            with suppress(OSError, ValueError, RecursionError):
                if path != self.mine:
                    found.append(_decode(path.read_bytes()))
        return found


def _decode(data: bytes) -> Counts:
    "Return the counts in a file; raise ValueError where they are none, or count over other bounds."
    counts, ours = msgspec.json.decode(data, type=Counts), Counts()
    pairs = [(getattr(counts, name), getattr(ours, name)) for name in ("confidence", "group_rows", "commit_seconds")]
    pairs += [(histogram, ours.commit_seconds) for histogram in counts.seconds.values()]
    if any(a.bounds != b.bounds or len(a.counts) != len(b.counts) for a, b in pairs):
        raise ValueError("histograms over other bounds")
    if any(len(key.split()) != 3 or not key.split()[2].isdigit() for key in counts.requests):
        raise ValueError("requests without method, path and status")
    return counts
