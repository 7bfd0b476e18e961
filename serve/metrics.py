"""What the service has done so far: counted in plain numbers, told as Prometheus text or as a JSON summary.

The counting happens on the busiest path, so it is a few additions; everything else waits until somebody asks.
"""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 10_000)
CONFIDENCES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
METHODS = ("GET", "POST", "HEAD", "OPTIONS")  # others are one series: callers must not make new ones
PREDICT = ("/predict", "/predict/batch")


class Histogram:
    "How often a value fell below each bound."

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds, self.counts, self.total = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_all(self, values: list[float]) -> None:
        for value in values:
            self.counts[bisect_left(self.bounds, value)] += 1
        self.total += sum(values)

    @property
    def count(self) -> int:
        return sum(self.counts)

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None

    def buckets(self) -> list[tuple[str, float]]:
        bounds = [*map(str, self.bounds), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.counts)), strict=True))


class Metrics(Collector):
    def __init__(self, state: Callable[[], dict[str, Any]]) -> None:
        self.state = state  # what is true now: waiting rows, model, faults
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.seconds: dict[str, Histogram] = {}
        self.latest: deque[float] = deque(maxlen=10_000)
        self.classes: Counter[str] = Counter()
        self.confidence = Histogram(CONFIDENCES)
        self.group_rows, self.commit_seconds = Histogram(SIZES), Histogram(SECONDS)
        self.audit_failures = 0
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def request(self, method: str, path: str, status: int, seconds: float) -> None:
        "Count one request; called on the event loop."
        self.requests[method if method in METHODS else "other", path, status] += 1
        if (histogram := self.seconds.get(path)) is None:
            histogram = self.seconds[path] = Histogram(SECONDS)
        histogram.add(seconds)
        if path in PREDICT and status == 200:
            self.latest.append(seconds)

    def group(self, labels: list[str], confidences: list[float], commit_seconds: float) -> None:
        "Count one committed group; called on the engine's thread."
        self.classes.update(labels)
        self.confidence.add_all(confidences)
        self.group_rows.add(len(labels))
        self.commit_seconds.add(commit_seconds)

    def text(self) -> bytes:
        "Everything, the way Prometheus reads it."
        return generate_latest(self.registry)

    def summary(self) -> dict[str, Any]:
        "The numbers that people ask for first."
        asked = {key: n for key, n in self.requests.items() if key[1] in PREDICT}
        total, failed = sum(asked.values()), sum(n for key, n in asked.items() if key[2] >= 400)
        ms = np.percentile(list(self.latest), (50, 95, 99)).tolist() if self.latest else [None] * 3
        rows = sum(self.classes.values())
        return {
            "requests": total,
            "error_rate": failed / total if total else 0.0,
            "predictions": rows,
            "latency_ms": dict(zip(("p50", "p95", "p99"), [m and round(m * 1000, 3) for m in ms], strict=True)),
            "mean_confidence": self.confidence.mean,
            "classes": {label: n / rows for label, n in sorted(self.classes.items())},
            "audit_failures": self.audit_failures,
            **self.state(),
        }

    def collect(self) -> Iterable[Metric]:
        "prometheus_client calls this for each scrape."
        state = self.state()
        yield counter("iris_requests", "Requests answered.", ("method", "path", "status"), self.requests)
        yield histograms("iris_request_seconds", "From arrival to the answer.", "path", self.seconds)
        yield counter("iris_predictions", "Rows answered, by predicted class.", ("label",), self.classes)
        yield from plain_histograms(self)
        failures = {(): self.audit_failures}
        yield counter("iris_audit_failures", "Groups that could not be committed.", (), failures)
        yield GaugeMetricFamily("iris_queue_rows", "Rows that wait for an answer.", value=state["waiting_rows"])
        yield GaugeMetricFamily("iris_ready", "1 while predictions are answered.", value=state["ready"])
        model = GaugeMetricFamily("iris_model", "The model that answers.", labels=("name", "version"))
        if state["model_name"]:
            model.add_metric((state["model_name"], state["model_version"]), 1)
        yield model
        refused = bool(state["model_fault"])
        yield GaugeMetricFamily("iris_model_fault", "1 while a new champion is refused.", value=refused)


def plain_histograms(m: Metrics) -> Iterator[Metric]:
    for name, about, h in (
        ("iris_confidence", "Probability of the predicted class.", m.confidence),
        ("iris_group_rows", "Rows that shared one run of the model and one commit.", m.group_rows),
        ("iris_commit_seconds", "Time of one commit.", m.commit_seconds),
    ):
        yield HistogramMetricFamily(name, about, buckets=h.buckets(), sum_value=h.total)


def counter(name: str, about: str, labels: tuple[str, ...], counts: dict[Any, int]) -> Metric:
    family = CounterMetricFamily(name, about, labels=labels)
    for key, n in list(counts.items()):
        family.add_metric([str(k) for k in (key if isinstance(key, tuple) else (key,))], n)
    return family


def histograms(name: str, about: str, label: str, found: dict[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, about, labels=(label,))
    for key, h in list(found.items()):
        family.add_metric((key,), h.buckets(), sum_value=h.total)
    return family
