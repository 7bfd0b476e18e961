"""Names that a declaration accepts work in files, figures, metrics, documents, and through a whole life of a model."""

import csv
import html
import re
from pathlib import Path
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
from iris_nb.dashboard.widgets import Selection, _chart, controls
from iris_nb.predict.batch import score
from iris_nb.predict.predictor import Predictor
from iris_nb.schema import Schema
from iris_nb.train.evidence import evidence_page
from iris_nb.train.onnx_export import to_onnx
from serve.metrics import Metrics
from tests.another_table import NASTY_DECLARATION, NASTY_ROWS, copy_project
from tests.serve.load import LONG
from tests.test_another_table import run
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
    assert html.escape(one) in _chart(fig)
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
    assert not any(c.widget.description_allow_html for c in controls(schema, schema.example).values())


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


ASK_THE_SERVICE = """
from litestar.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families
from iris_nb.config import home_folder
from iris_nb.table import SCHEMA
from serve.app import create_app
from serve.settings import Settings

def references(part):
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else []
    own = {part["$ref"].rsplit("/", 1)[1]} if isinstance(part, dict) and isinstance(part.get("$ref"), str) else set()
    return own.union(*map(references, inner))

with TestClient(create_app(Settings(home=home_folder()))) as client:
    first = SCHEMA.names[0]
    answered = client.post("/predict", json=SCHEMA.example).json()
    assert answered["predictions"][0] in SCHEMA.classes
    refused = client.post("/predict", json={**SCHEMA.example, first: "x"}).json()
    assert [fault["field"] for fault in refused["errors"]] == [first]
    path = f"/predictions/{answered['prediction_ids'][0]}"
    assert client.post(f"{path}/label", json={"label": SCHEMA.classes[0]}).status_code < 300
    assert client.get(path).json()["true_label"] == SCHEMA.classes[0]
    for label in SCHEMA.classes:
        page = client.get("/predictions/history", params={"label": label}).json()
        assert page["predictions"] and {row["prediction"] for row in page["predictions"]} == {label}
    document = client.get("/openapi.json").json()
    assert references(document) <= set(document["components"]["schemas"])
    assert client.get("/docs").status_code == 200
    text = client.get("/metrics", headers={"accept": "text/plain"}).text
    families = {family.name: family.samples for family in text_string_to_metric_families(text)}
    judged = {sample.labels["name"] for sample in families["iris_drift_alarm"]}
    assert judged == {*SCHEMA.names, SCHEMA.target, "together"}
"""

LOOK_AT_THE_PAGE = """
import nbformat
from nbclient import NotebookClient
from iris_nb.table import SCHEMA
notebook = nbformat.read("nbs/dashboard/monitoring.ipynb", 4)
NotebookClient(notebook, timeout=120, resources={"metadata": {"path": "nbs/dashboard"}}).execute()
widgets = notebook.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"].values()
said = [w["state"].get("value", "") for w in widgets if w["model_name"] == "HTMLModel"]
assert not any("could not be drawn" in text for text in said)
assert any("&lt;/script&gt;&lt;b&gt;" in text for text in said)
assert not any(SCHEMA.classes[0] in text for text in said)
"""

WATCH = """
import subprocess
assert subprocess.run(["iris-nb", "watch"]).returncode in (0, 1, 3)
"""


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "A copy of the project about the nastiest names, with a champion and an hour in its log."
    if not LONG:
        pytest.skip("takes a minute: make test-long")
    root = copy_project(tmp_path_factory.mktemp("nasty") / "project", NASTY_DECLARATION, NASTY_ROWS)
    run(root, "iris-nb", "train", "--quick")
    run(root, "iris-nb", "simulate", "--past", "60", "--rate", "0.1", "--labels", "0.3", "--seed", "1")
    run(root, "python", "-c", WATCH)
    return root


@pytest.mark.long
def test_a_model_with_the_nastiest_names_is_verified_and_promoted_again(nasty):
    run(nasty, "iris-nb", "bundle", "verify")
    run(nasty, "iris-nb", "promote", "1")
    run(nasty, "iris-nb", "audit", "verify")


@pytest.mark.long
def test_a_file_with_the_nastiest_names_is_scored_and_exported(nasty):
    run(nasty, "python", "-c", "from iris_nb.table import load_rows; load_rows().to_csv('rows.csv', index=False)")
    run(nasty, "iris-nb", "score", "rows.csv", "-o", "answers.parquet", "--quiet")
    run(nasty, "iris-nb", "train", "--quick", "-p", "data", "rows.csv")
    run(nasty, "iris-nb", "audit", "export", "log.csv")


@pytest.mark.long
def test_the_service_answers_documents_and_counts_under_the_nastiest_names(nasty):
    run(nasty, "python", "-c", ASK_THE_SERVICE)


@pytest.mark.long
def test_the_dashboard_shows_the_nastiest_names_as_text(nasty):
    run(nasty, "python", "-c", LOOK_AT_THE_PAGE)
