"""The dashboard has something sensible to show in every state that a log can be in."""

import sqlite3
import time

import numpy as np
import pytest

from iris_nb.audit.log import AuditError, AuditLog, Entry
from iris_nb.bundle import champion
from iris_nb.dashboard import prediction, snapshot, status, traffic
from iris_nb.dashboard.page import View
from iris_nb.dashboard.snapshot import row_of
from iris_nb.monitor.assess import assess
from iris_nb.predict.predictor import Predictor
from iris_nb.schema import decode_row
from iris_nb.table import SCHEMA

HOUR = 3_600_000_000


@pytest.fixture(scope="module")
def predictor(bundles):
    return Predictor.load(champion(bundles))


@pytest.fixture
def write(tmp_path, predictor):
    "Logs rows of the reference; gives the address of the log."

    def add(rows, version="1", only=None, hours_ago=0.5):
        if not rows:
            AuditLog.open(tmp_path / "audit.db").close()
            return str(tmp_path / "audit.db")
        X, labels = predictor.bundle.reference
        chosen = [i for i, label in enumerate(labels) if only in (None, label)]
        X = X[np.random.default_rng(0).choice(chosen, rows)]
        P, now = predictor.probabilities(X), time.time_ns() // 1000 - int(hours_ago * HOUR)
        rows = [list(decode_row(predictor.schema, x).values()) for x in X]
        answers = list(zip(rows, P.tolist(), predictor.labels(P), strict=True))
        with AuditLog.open(tmp_path / "audit.db") as log:
            log.append(
                [
                    Entry(f"{now + i}-00000", "r", now + i, "model", version, 1.0, None, [x], [label], [max(p)], [p])
                    for i, (x, p, label) in enumerate(answers)
                ]
            )
        return str(tmp_path / "audit.db")

    return add


def shown(url, home, predictor, view=View()):  # noqa: B008
    "Every part of the page, as pieces by name."
    found = snapshot.read_log(url, view, time.time_ns() // 1000)
    report = assess(predictor, found.seen.rows, view.window, found.seen.count)
    made = {name: make() for name, make in snapshot.parts(found, predictor, report, None, home, "http://here").items()}
    lights = status.lights(found.seen, report, None, "http://here")
    return made, lights, traffic.rows_table(found.page.rows, "Rows")


def test_a_log_that_is_not_there(tmp_path):
    with pytest.raises(AuditError, match="no audit log"):
        snapshot.read_log(str(tmp_path / "audit.db"), View(), 0)


def test_a_log_that_is_no_log(tmp_path):
    (tmp_path / "audit.db").write_text("not a database, whatever its name says" * 100)
    with pytest.raises(AuditError):
        snapshot.read_log(str(tmp_path / "audit.db"), View(), 0)


def test_a_log_that_is_locked(write, tmp_path):
    url = write(3)
    other = sqlite3.connect(url, isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(AuditError):
            snapshot.read_log(url, View(), time.time_ns() // 1000)
    finally:
        other.close()


def test_an_empty_log(write, tmp_path, predictor):
    made, lights, _ = shown(write(0), tmp_path, predictor)
    assert "No prediction has been made yet" in made["traffic"][0]
    assert made["drift"] == made["quality"] == []
    assert "unknown" in lights


def test_three_rows(write, tmp_path, predictor):
    made, lights, table = shown(write(3), tmp_path, predictor)
    assert "too few to judge" in made["drift"][0]
    assert "unsure" in lights
    assert table.count("<tr>") == 4


def test_one_class_only(write, tmp_path, predictor):
    made, lights, _ = shown(write(60, only=SCHEMA.classes[0]), tmp_path, predictor)
    assert "alarm" in lights
    assert any(SCHEMA.classes[0] in str(piece) for piece in made["drift"])


def test_no_labels(write, tmp_path, predictor):
    made, _, _ = shown(write(60), tmp_path, predictor)
    assert "No true class has been entered" in made["quality"][0]


def test_no_champion(write, tmp_path):
    made, lights, _ = shown(write(60), tmp_path, None)
    assert "no champion" in made["quality"][0]
    assert "make train" in made["models"][0]
    assert "unknown" in lights
    assert "Pick a row" in prediction.one_part(None, None, "")[0]


def test_rows_of_two_versions(write, tmp_path, predictor):
    write(40, version="1", hours_ago=2)
    url = write(40, version="2")
    made, _, _ = shown(url, tmp_path, predictor)
    assert "model-1" in made["models"][-2]
    assert [trace.name for trace in made["models"][-1].data] == ["model-1", "model-2"]
    only, _, _ = shown(url, tmp_path, predictor, View(model="2"))
    assert "model-1" not in only["models"][-1]


def test_a_window_without_rows(write, tmp_path, predictor):
    made, _, _ = shown(write(5, hours_ago=30), tmp_path, predictor)
    assert "longer window" in made["traffic"][0]


def test_what_a_caller_sent_is_never_html(predictor):
    row = {"id": "<script>", "time": 0, "label": "<b>", "confidence": 1.0, "duration_ms": 1.0, "model_version": "<i>"}
    table = traffic.rows_table([{**row, **SCHEMA.example}], "Rows")
    assert not [tag for tag in ("<script>", "<b>", "<i>") if tag in table]


def test_a_service_that_does_not_answer_is_said_to_be_down():
    assert status.service_state("http://127.0.0.1:9") is None
    assert "alarm" in status._up_light(None, "http://127.0.0.1:9")


def test_no_id_is_no_row_and_opens_no_log(tmp_path):
    assert row_of(f"sqlite:///{tmp_path / 'nowhere.db'}", "") is None
