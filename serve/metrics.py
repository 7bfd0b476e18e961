"""Metrics of the service, as Prometheus text or a JSON summary, with the drift that `iris-nb watch` found last.

The counting happens on the busiest path, so it is a few additions; everything else waits for a scrape.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import DecodeError, convert, json, to_builtins
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from iris_nb.monitor.report import Report
from serve.counters import SECONDS, Counts, Histogram, SharedCounters

_METHODS = ("GET", "POST", "HEAD", "OPTIONS")  # others are one series: callers must not make new ones
_PREDICT = frozenset(
    ("/predict", "/predict/batch", "/invocations", "/endpoints/{name}/invocations")
    + ("/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer")
)
_LATEST = 10_000
State = dict[str, Any]


class Metrics(Collector):
    "Counts what happens, and collects it for a scrape."

    def __init__(self, state: Callable[[], State], shared: SharedCounters | None = None) -> None:
        self.state = state  # what is true now: waiting rows, model, faults
        self.mine, self.shared = Counts(), shared
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def request(self, method: str, path: str, status: int, seconds: float) -> None:
        "Count one request; called on the event loop."
        mine, key = self.mine, f"{method if method in _METHODS else 'other'} {path} {status}"
        mine.requests[key] = mine.requests.get(key, 0) + 1
        if (histogram := mine.seconds.get(path)) is None:
            histogram = mine.seconds[path] = Histogram.over(SECONDS)
        histogram.add(seconds)
        if status == 200 and path in _PREDICT:
            mine.latest.append(seconds)
            if len(mine.latest) > 2 * _LATEST:
                del mine.latest[:_LATEST]

    def group(
        self, labels: list[str], confidences: list[float], commit_seconds: float, decisions: list[str] | None = None
    ) -> None:
        "Count one committed group; called on the batcher's thread."
        mine = self.mine
        _count(mine.classes, labels)
        if decisions:
            _count(mine.decisions, decisions)
        mine.confidence.add_all(confidences)
        mine.group_rows.add(len(labels))
        mine.commit_seconds.add(commit_seconds)

    def failure(self) -> None:
        "Count a group that could not be committed."
        self.mine.audit_failures += 1

    def publish(self) -> None:
        "Share the counts with the other workers; nothing to do where there are none."
        if self.shared:
            self.shared.put(self.mine)

    def counts(self) -> Counts:
        "Return what all workers have counted."
        found = convert(to_builtins(self.mine), Counts)
        for other in self.shared.others() if self.shared else []:
            found.absorb(other)
        return found

    def text(self) -> bytes:
        "Return everything as Prometheus reads it."
        return generate_latest(self.registry)

    def collect(self) -> Iterable[Metric]:
        "Yield every metric; prometheus_client calls this for each scrape."
        yield from _counted(self.counts())
        yield from _stated(self.state())

    def summary(self) -> State:
        "Return the numbers that people ask for first."
        c = self.counts()
        asked = {key: n for key, n in c.requests.items() if key.split()[1] in _PREDICT}
        total, failed = sum(asked.values()), sum(n for key, n in asked.items() if int(key.split()[2]) >= 400)
        ms = np.percentile(c.latest, (50, 95, 99)).round(6) * 1000 if c.latest else np.full(3, None)
        rows = c.confidence.count
        return {
            "requests": total,
            "error_rate": failed / total if total else 0.0,
            "predictions": rows,
            "latency_ms": dict(zip(("p50", "p95", "p99"), ms.tolist(), strict=True)),
            "mean_confidence": c.confidence.total / rows if rows else None,
            "classes": {label: n / rows for label, n in sorted(c.classes.items())},
            "audit_failures": c.audit_failures,
            "mean_group_rows": c.group_rows.total / c.group_rows.count if c.group_rows.count else None,
            **self.state(),
        }


def _count(counts: dict[str, int], found: list[str]) -> None:
    for label, n in Counter(found).items():
        counts[label] = counts.get(label, 0) + n


def _counted(c: Counts) -> Iterable[Metric]:
    requests = CounterMetricFamily("iris_requests", "Requests answered.", labels=("method", "path", "status"))
    for key, n in c.requests.items():
        requests.add_metric(key.split(), n)
    seconds = HistogramMetricFamily("iris_request_seconds", "From arrival to the answer.", labels=("path",))
    for path, h in c.seconds.items():
        seconds.add_metric((path,), h.buckets(), sum_value=h.total)
    labels = CounterMetricFamily("iris_predictions", "Rows answered, by predicted class.", labels=("label",))
    for label, n in c.classes.items():
        labels.add_metric((label,), n)
    yield from (requests, seconds, labels)
    if c.decisions:
        decisions = CounterMetricFamily("iris_decisions", "Rows answered, by cheapest decision.", labels=("label",))
        for label, n in c.decisions.items():
            decisions.add_metric((label,), n)
        yield decisions
    for name, about, h in (
        ("iris_confidence", "Probability of the predicted class.", c.confidence),
        ("iris_group_rows", "Rows that shared one run of the model and one commit.", c.group_rows),
        ("iris_commit_seconds", "Time of one commit.", c.commit_seconds),
    ):
        yield HistogramMetricFamily(name, about, buckets=h.buckets(), sum_value=h.total)
    yield CounterMetricFamily("iris_audit_failures", "Groups that could not be committed.", value=c.audit_failures)


def _stated(state: State) -> Iterable[Metric]:
    yield GaugeMetricFamily("iris_queue_rows", "Rows that wait for an answer.", value=state["waiting_rows"])
    yield GaugeMetricFamily("iris_ready", "1 while predictions are answered.", value=state["ready"])
    model = GaugeMetricFamily("iris_model", "The model that answers.", labels=("name", "version"))
    if state["model_name"]:
        model.add_metric((state["model_name"], state["model_version"]), 1)
    yield model
    refused = bool(state["model_fault"])
    yield GaugeMetricFamily("iris_model_fault", "1 while a new champion is refused.", value=refused)


class WatchReport(Collector):
    "The report that `iris-nb watch` wrote last, as gauges; none where there is none, or none that can be read."

    def __init__(self, path: Path) -> None:
        self.path = path

    def collect(self) -> Iterable[Metric]:
        "Yield the gauges; prometheus_client calls this for each scrape."
        if (report := _read_report(self.path)) is None:
            return
        yield GaugeMetricFamily("iris_watch_time_seconds", "When drift and quality were judged.", value=report.time)
        yield GaugeMetricFamily("iris_watch_rows", "Rows in the window that was judged.", value=report.rows)
        alarm = GaugeMetricFamily("iris_drift_alarm", "1 where a column has drifted.", labels=("name",))
        p = GaugeMetricFamily("iris_drift_p_value", "How likely chance alone is, corrected.", labels=("name",))
        for verdict in report.drift:
            alarm.add_metric((verdict.name,), verdict.state == "alarm")
            if verdict.state != "unsure":
                p.add_metric((verdict.name,), verdict.p_value)
        yield from (alarm, p)
        lower = report.quality == "alarm"
        yield GaugeMetricFamily("iris_quality_alarm", "1 where accuracy is below that in training.", value=lower)
        if report.accuracy:
            about = "Accuracy expected of the answers, and its interval."
            accuracy = GaugeMetricFamily("iris_accuracy_expected", about, labels=("bound",))
            for bound in ("value", "low", "high"):
                accuracy.add_metric((bound,), getattr(report.accuracy, bound))
            yield accuracy
        if report.cost:
            cost = GaugeMetricFamily("iris_decision_cost", "What a decision costs on average.", labels=("kind",))
            cost.add_metric(("expected",), report.cost.expected)
            if report.cost.realised is not None:
                cost.add_metric(("realised",), report.cost.realised)
            yield cost


def _read_report(path: Path) -> Report | None:
    "Return the report in a file; None where there is none, or none that can be read."
    try:
        return json.decode(path.read_bytes(), type=Report)
    except (OSError, DecodeError, RecursionError):
        return None
