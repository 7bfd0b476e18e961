"""Names that a declaration accepts work in files, figures, metrics, documents, and through a whole life of a model."""

import csv
import html
import re
from urllib.parse import urlencode

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from iris_nb import charts
from iris_nb.bundle import Card, read_bundle, write_bundle
from iris_nb.dashboard.page import view_of
from iris_nb.dashboard.widgets import Selection, chart, sliders
from iris_nb.predict.batch import score
from iris_nb.predict.predictor import Predictor
from iris_nb.schema import Schema
from iris_nb.train.evidence import evidence_page
from iris_nb.train.onnx_export import to_onnx
from serve.metrics import Metrics
from tests.test_schema import CLASSES, HOSTILE, declared

NASTY = (
    *("<b>", "&lt;", "</script>", "$x$", "%{text}", "0", "2024-05-01", "null", "NaN", "a\\b", "=1+1", "all"),
    *("x" * 100, "a_b", "a b"),
)
class_names = st.one_of(st.sampled_from(NASTY), st.sampled_from(CLASSES), st.text(max_size=100))
column_names = st.sampled_from((*HOSTILE, "select", "predicted", "together", "index", "line", "row", "where", "reason"))


def drawn(feature: str, one: str, other: str) -> Schema | None:
    "A declaration with these names, or None where it is refused."
    try:
        return declared(feature=feature, classes=(one, other))
    except ValueError:
        return None


def texts_of(fig: go.Figure) -> list[str]:
    "The names on an axis of a figure, as plotly draws them."
    return [html.unescape(text) for text in fig.data[0].y]


@settings(max_examples=60)
@given(column_names, class_names, class_names)
@example("height", "</script><img src=x>", "$a$")
def test_classes_are_drawn_as_they_are_called(feature, one, other):
    if (schema := drawn(feature, one, other)) is None:
        return
    fig = charts.class_mix({one: 3}, schema)
    assert texts_of(fig) == [one, other]
    assert fig.layout.yaxis.type == "category"
    assert not re.search("<(?!br>)", fig.layout.title.text)
    assert html.escape(one) in chart(fig)
    page = evidence_page("Evidence", [charts.chances({one: 0.9, other: 0.1}, schema)])
    assert page.count(b"</script>") == page.count(b"<script")


@settings(max_examples=60)
@given(column_names, class_names, class_names)
def test_controls_and_addresses_of_the_dashboard_keep_a_name(feature, one, other):
    if (schema := drawn(feature, one, other)) is None:
        return
    view = view_of("?" + urlencode({"label": one}))
    assert view.label == one
    assert Selection(view, schema).label.value == one
    assert not any(slider.description_allow_html for slider in sliders(schema, schema.example).values())


@settings(max_examples=60)
@given(class_names, class_names)
def test_a_scrape_gives_back_the_names_of_the_classes(one, other):
    if drawn("height", one, other) is None:
        return
    state = {"waiting_rows": 0, "ready": True, "model_name": "m", "model_version": "1", "model_fault": None}
    metrics = Metrics(lambda: state)
    metrics.group([one, other, one], [0.9, 0.8, 0.7], 0.01)
    families = text_string_to_metric_families(metrics.text().decode())
    (family,) = [f for f in families if f.name == "iris_predictions"]
    assert {s.labels["label"]: s.value for s in family.samples if s.name.endswith("_total")} == {one: 2, other: 1}


@settings(max_examples=40)
@given(feature=column_names, one=class_names, other=class_names)
def test_a_model_is_bundled_read_and_scored_with_under_any_names(feature, one, other, tmp_path_factory):
    if (schema := drawn(feature, one, other)) is None:
        return
    here = tmp_path_factory.mktemp("named")
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(1, 2, 40), rng.uniform(50, 90, 40)])
    y = np.arange(40) % 2
    X[:, 0] += y
    model = make_pipeline(LogisticRegression()).fit(X, y)
    P, labels = model.predict_proba(X), [schema.classes[i] for i in y]
    card = Card("people_lr", "1", "2026-01-01T00:00:00+00:00", schema, description="<b>A model</b>")
    bundle = write_bundle(here, card, to_onnx(model, schema), (X[:5], P[:5]), (X, labels))
    assert read_bundle(bundle, schema).reference[1] == labels
    with (here / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([schema.names, X[0].tolist(), X[1].tolist(), ["tall", 70]])
    found = score(Predictor.load(bundle, schema), here / "rows.csv", here / "answers.csv", progress=False)
    assert (found.answered, found.faulty) == (2, 1)
    with (here / "answers.csv").open(newline="", encoding="utf-8") as file:
        assert {row["predicted"] for row in csv.DictReader(file)} <= set(schema.classes)
    again = here / "answers.faults.csv"
    again.write_text(again.read_text(encoding="utf-8").replace("tall", "1.5"), encoding="utf-8")
    assert score(Predictor.load(bundle, schema), again, here / "again.csv", progress=False).answered == 1


def test_the_verdicts_of_a_feature_and_of_all_together_are_never_mixed_up():
    with pytest.raises(ValueError, match="together"):
        declared(feature="together")
    with pytest.raises(ValueError, match="a scored file has an answer of that name"):
        declared(feature="predicted")
    with pytest.raises(ValueError, match="a scored file has an answer of that name"):
        declared(feature="probability_red")
