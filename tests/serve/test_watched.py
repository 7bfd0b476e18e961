"""What `iris-nb watch` leaves behind is told to Prometheus."""

import time

from prometheus_client import CollectorRegistry, generate_latest

from iris_nb.monitor.report import Estimate, Report, Verdict
from iris_nb.monitor.watch import keep
from serve.watched import Watched


def told(path):
    registry = CollectorRegistry()
    registry.register(Watched(path))
    return generate_latest(registry).decode()


def test_without_a_report_nothing_is_told(tmp_path):
    assert told(tmp_path / "watch.json") == ""


def test_a_report_that_cannot_be_read_is_not_told(tmp_path):
    (tmp_path / "watch.json").write_text("half of a rep")
    assert told(tmp_path / "watch.json") == ""


def test_the_latest_verdicts_are_gauges_with_their_time(tmp_path):
    verdicts = [
        Verdict("height", "alarm", "It has moved.", p_value=0.002),
        Verdict("weight", "good", "As in training.", p_value=0.4),
        Verdict("age", "unsure", "Too few."),
    ]
    report = Report(time.time(), "24h", 300, verdicts, "alarm", "Fewer are right.", Estimate(0.8, 0.7, 0.9, 300))
    text = told(keep(report, tmp_path))
    assert 'iris_drift_alarm{name="height"} 1.0' in text
    assert 'iris_drift_alarm{name="weight"} 0.0' in text
    assert 'iris_drift_p_value{name="height"} 0.002' in text
    assert 'iris_drift_p_value{name="age"}' not in text
    assert 'iris_accuracy_expected{bound="low"} 0.7' in text
    assert "iris_quality_alarm 1.0" in text
    assert "iris_watch_time_seconds" in text
