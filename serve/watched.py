"""What `iris-nb watch` found last, passed on to Prometheus: the service reports drift and never computes it."""

from collections.abc import Iterable
from pathlib import Path

from msgspec import DecodeError, json
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from iris_nb.monitor.report import Report


class Watched(Collector):
    "The report in a file, as gauges; none where there is no report, or none that can be read."

    def __init__(self, path: Path) -> None:
        self.path = path

    def collect(self) -> Iterable[Metric]:
        try:
            report = json.decode(self.path.read_bytes(), type=Report)
        except (OSError, DecodeError):
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
