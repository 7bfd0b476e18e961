"""The page of a table with every kind of feature, gaps and costs."""

import time

import numpy as np
import pytest
import uuid_utils

from iris_nb.audit.log import AuditLog, Entry, ids_of
from iris_nb.bundle import champion
from iris_nb.dashboard.app import App, Source
from iris_nb.dashboard.model_health import drift_part
from iris_nb.dashboard.page import View
from iris_nb.examples import HOUSES, houses
from iris_nb.monitor.watch import _lines_of, report_of
from iris_nb.predict.predictor import Predictor, decide
from iris_nb.schema import encode_columns
from tests.serve.mixed import doubles_of, write_champion


def values(rows, seed):
    "Return generated houses as rows of values, as they come over the wire."
    frame = houses(rows, seed)[list(HOUSES.names)]
    return [[None if value != value else value for value in row] for row in frame.astype(object).values.tolist()]


def entry(predictor, row, when):
    "Return what the service would log of one house."
    P = predictor.probabilities(doubles(row))
    return Entry(
        id=ids_of(str(uuid_utils.uuid7()), 1)[0],
        request_id="r",
        time=when,
        model_name=predictor.card.name,
        model_version=predictor.card.version,
        duration_ms=1.0,
        caller=None,
        features=[row],
        labels=predictor.labels(P),
        confidences=[float(P.max())],
        probabilities=P.tolist(),
        decisions=decide(HOUSES, P),
    )


def doubles(row):
    return np.array(encode_columns(HOUSES, [row]), dtype=float).T


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    "A home with a model about houses, 120 answers, and a true class for 30 of them."
    home = tmp_path_factory.mktemp("houses")
    write_champion(home / "bundles", HOUSES, doubles_of(HOUSES, 150))
    predictor = Predictor.load(champion(home / "bundles"), HOUSES)
    start = time.time_ns() // 1000 - 3_000_000_000
    rows = values(120, seed=2)
    for row in rows[60:]:
        row[HOUSES.names.index("district")] = "<b>Harbour</b>"
    made = [entry(predictor, row, start + i * 20_000_000) for i, row in enumerate(rows)]
    with AuditLog.open(f"sqlite:///{home / 'audit.db'}", HOUSES) as log:
        log.append(made)
        for e in made[:30]:
            log.label(e.id, HOUSES.classes[len(e.id) % 2])
    return Source(home=home, log=f"sqlite:///{home / 'audit.db'}", service="http://127.0.0.1:9", schema=HOUSES)


@pytest.fixture(scope="module")
def app(source: Source) -> App:
    return App(source, View("1h"))


def shown(panel) -> str:
    "Return the text of a panel."

    def text(widget):
        inside = "".join(map(text, getattr(widget, "children", ())))
        return str(getattr(widget, "value", "")) + inside

    return text(panel.body)


def test_every_part_is_drawn(app):
    panels = [*app.panels.values(), app.history.panel, app.what_if.panel]
    assert not [panel for panel in panels if "could not be drawn" in shown(panel) or not panel.body.children]


def test_a_new_value_is_named_and_escaped(app):
    said = shown(app.panels["drift"])
    assert "&lt;b&gt;Harbour" in said
    assert "<b>Harbour" not in said


def test_decisions_and_what_they_cost_are_shown(app):
    assert "the decisions were" in shown(app.panels["predictions"])
    assert "A decision is expected to cost" in shown(app.panels["quality"])
    assert "<th scope='col'>decision</th>" in shown(app.history.panel)
    assert "Decision: " in shown(app.what_if.panel)


@pytest.mark.parametrize("number", [0, 5, 119])
def test_a_house_is_explained_and_sets_the_controls(source, app, number):
    seen = source.snapshot(View("1h")).found.seen
    picked = seen.rows["id"].iloc[number]
    app.one.row_id.value = picked
    assert "class='flip'" in shown(app.one.panel)
    assert "could not be drawn" not in shown(app.one.panel)
    row = source.row(picked)
    for feature in HOUSES.features:
        value = feature.from_log(row[feature.name])
        expected = value if value is None or not feature.is_discrete else feature.decode(feature.encode(value))
        chosen = app.what_if.controls[feature.name].value
        assert chosen == (pytest.approx(expected, abs=1) if isinstance(expected, float) else expected)


def test_the_watch_says_what_decisions_cost(source):
    report = report_of(source.log, "1h", source.predictor(), HOUSES)
    assert report.cost.labelled == 30
    assert report.cost.realised is not None
    assert any("with a true class cost" in line for line in _lines_of(report))


def test_the_most_suspicious_feature_is_drawn_first(source):
    seen = source.snapshot(View("1h"))
    report = report_of(source.log, "1h", source.predictor(), HOUSES)
    pieces = drift_part(source.predictor(), seen.found.seen, report.drift)
    worst = min((v for v in report.drift if v.distances), key=lambda v: v.p_value)
    assert str(pieces[1].layout.meta).startswith(worst.sentence.partition(" By chance")[0][:20])
