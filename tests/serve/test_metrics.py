"""Metrics, and the drift that `iris-nb watch` found."""

import re
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from iris_nb.examples import HOUSES, IRIS
from iris_nb.monitor.report import Cost, Estimate, Report, Verdict
from iris_nb.monitor.watch import _keep
from iris_nb.table import SCHEMA
from serve.metrics import _LATEST, Metrics, WatchReport


def metrics(**state: object) -> Metrics:
    quiet = {"waiting_rows": 0, "ready": False, "model_name": None, "model_version": None, "model_fault": ""}
    return Metrics(lambda: quiet | state)


def test_before_there_is_a_model_none_is_named():
    assert "iris_model{" not in generate_latest(metrics().registry).decode()
    assert "iris_model{" in generate_latest(metrics(model_name="a", model_version="1").registry).decode()


def test_only_the_latest_durations_are_kept():
    counting = metrics()
    for i in range(2 * _LATEST + 1):
        counting.request("POST", "/predict", 200, float(i))
    assert len(counting.mine.latest) == _LATEST + 1
    assert counting.mine.latest[-1] == 2 * _LATEST


def test_metrics_speak_to_prometheus(client, row):
    client.post("/predict", json=row)
    client.post("/predict", json={})
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.text
    assert 'iris_requests_total{method="POST",path="/predict",status="200"} 1.0' in text
    assert 'iris_requests_total{method="POST",path="/predict",status="400"} 1.0' in text
    assert f'iris_predictions_total{{label="{SCHEMA.classes[0]}"}} 1.0' in text
    assert f'iris_model{{name="{SCHEMA.name}_test",version="1"}} 1.0' in text
    for name in ("iris_request_seconds", "iris_confidence", "iris_group_rows", "iris_commit_seconds"):
        assert f"{name}_bucket" in text
    for name in ("iris_queue_rows", "iris_ready", "iris_audit_failures_total", "process_resident_memory_bytes"):
        assert re.search(rf"^{name} ", text, re.MULTILINE)


def test_metrics_sum_up_for_people(client, row):
    for body in (row, row, row, {}):
        client.post("/predict", json=body)
    found = client.get("/metrics", headers={"accept": "application/json"}).json()
    assert found["requests"] == 4
    assert found["error_rate"] == 0.25
    assert found["predictions"] == 3
    assert found["classes"] == {SCHEMA.classes[0]: 1.0}
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]
    assert 1 / len(SCHEMA.classes) <= found["mean_confidence"] <= 1


def test_callers_can_not_make_new_series(client, row):
    for i in range(5):
        client.get(f"/predictions/{i}")
        client.get(f"/nothing/{i}")
        client.request(f"M{i}", "/")
    series = {line for line in client.get("/metrics").text.splitlines() if line.startswith("iris_requests_total")}
    assert len(series) == 3
    assert any('path="/predictions/{id}"' in line for line in series)


def told(path):
    registry = CollectorRegistry()
    registry.register(WatchReport(path))
    return generate_latest(registry).decode()


def test_without_a_report_there_are_no_gauges(tmp_path):
    assert told(tmp_path / "watch.json") == ""


def test_a_report_that_cannot_be_read_gives_no_gauges(tmp_path):
    (tmp_path / "watch.json").write_text("half of a rep")
    assert told(tmp_path / "watch.json") == ""


def test_the_latest_verdicts_are_gauges_with_their_time(tmp_path):
    verdicts = [
        Verdict("height", "alarm", "It has moved.", p_value=0.002),
        Verdict("weight", "good", "As in training.", p_value=0.4),
        Verdict("age", "unsure", "Too few."),
    ]
    report = Report(time.time(), "24h", 300, verdicts, "alarm", "Fewer are right.", Estimate(0.8, 0.7, 0.9, 300))
    text = told(_keep(report, tmp_path))
    assert 'iris_drift_alarm{name="height"} 1.0' in text
    assert 'iris_drift_alarm{name="weight"} 0.0' in text
    assert 'iris_drift_p_value{name="height"} 0.002' in text
    assert 'iris_drift_p_value{name="age"}' not in text
    assert 'iris_accuracy_expected{bound="low"} 0.7' in text
    assert "iris_quality_alarm 1.0" in text
    assert "iris_watch_time_seconds" in text


def test_a_quality_that_could_not_be_estimated_has_no_gauge(tmp_path: Path):
    _keep(Report(0.0, "24h", 300, [], "unsure", "Too few.", None), tmp_path)
    registry = CollectorRegistry()
    registry.register(WatchReport(tmp_path / "watch.json"))
    told = generate_latest(registry).decode()
    assert "iris_watch_rows 300.0" in told
    assert "iris_accuracy_expected" not in told


@pytest.mark.parametrize(
    ("cost", "there"), [(None, []), (Cost(0.6), ["expected"]), (Cost(0.6, 0.7, 9), ["expected", "realised"])]
)
def test_what_decisions_cost_is_a_gauge_where_it_is_known(tmp_path, cost, there):
    text = told(_keep(Report(time.time(), "24h", 300, [], "good", "As ever.", None, cost), tmp_path))
    assert re.findall(r'iris_decision_cost{kind="(\w+)"}', text) == there


def test_decisions_are_counted_where_costs_are_declared(houses):
    houses.post("/predict/batch", json={"samples": [HOUSES.example] * 3})
    assert 'iris_decisions_total{label="quickly"} 3.0' in houses.get("/metrics").text


def test_there_is_no_count_of_decisions_without_costs(irises):
    irises.post("/predict", json=IRIS.example)
    assert "iris_decisions" not in irises.get("/metrics").text
