"""Asking for predictions, one row or many."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from litestar.testing import TestClient

from iris_nb.audit.log import AuditLog
from iris_nb.bundle import champion
from iris_nb.examples import HOUSES, IRIS
from iris_nb.predict.predictor import Predictor
from iris_nb.schema import Category, Date, Number, Schema, Value, YesNo, decode_row
from iris_nb.table import SCHEMA
from serve.app import create_app
from serve.settings import Settings

MAIN_JOB = {"predictions", "probabilities", "model_name", "model_version", "processing_time_ms", "timestamp"}


def rows_of(count: int) -> list[dict[str, Value]]:
    "Distinct rows inside every range."
    random = np.random.default_rng(0)
    return [decode_row(SCHEMA, row) for row in np.column_stack([f.draw(random, count) for f in SCHEMA.features])]


def test_one_row_is_answered_in_exactly_the_documented_shape(client, row):
    answer = client.post("/predict", json=row)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert set(found) == MAIN_JOB | {"prediction_ids"}
    assert found["predictions"] == [SCHEMA.classes[int(np.argmax(found["probabilities"][0]))]]
    assert sum(found["probabilities"][0]) == pytest.approx(1)
    assert (found["model_name"], found["model_version"]) == (f"{SCHEMA.name}_test", "1")
    assert found["processing_time_ms"] > 0
    assert datetime.fromisoformat(found["timestamp"]).utcoffset().total_seconds() == 0


def test_the_answer_is_the_librarys(client, bundles):
    rows = rows_of(50)
    expected = Predictor.load(bundles / f"{SCHEMA.name}_test-1").predict(rows)
    found = client.post("/predict/batch", json={"samples": rows}).json()
    assert found["predictions"] == [p.label for p in expected]
    for got, wanted in zip(found["probabilities"], expected, strict=True):
        assert got == pytest.approx(list(wanted.probabilities.values()), abs=1e-9)


def test_a_batch_answers_as_each_row_alone(client):
    rows = rows_of(20)
    together = client.post("/predict/batch", json={"samples": rows}).json()
    alone = [client.post("/predict", json=row).json() for row in rows]
    assert together["predictions"] == [a["predictions"][0] for a in alone]
    for got, a in zip(together["probabilities"], alone, strict=True):
        assert got == pytest.approx(a["probabilities"][0], abs=1e-9)


def test_ten_thousand_rows_are_one_batch(client):
    answer = client.post("/predict/batch", json={"samples": rows_of(10_000)})
    assert answer.status_code == 200
    assert len(set(answer.json()["prediction_ids"])) == 10_000


def test_every_answered_row_is_in_the_log_as_it_was_answered(client, home):
    rows = rows_of(3)
    answer = client.post("/predict/batch", json={"samples": rows}, headers={"x-request-id": "mine-1"}).json()
    with AuditLog.open(home / "audit.db", read_only=True) as log:
        for i, key in enumerate(answer["prediction_ids"]):
            kept = log.get(key)
            assert {f.name: f.from_log(kept[f.name]) for f in SCHEMA.features} == rows[i]
            assert kept["label"] == answer["predictions"][i]
            assert kept["probabilities"] == answer["probabilities"][i]
            assert kept["request_id"] == "mine-1"
            assert kept["model_version"] == answer["model_version"]
            assert kept["duration_ms"] == answer["processing_time_ms"]
        assert log.count() == 3


def test_alpha_adds_the_classes_that_can_not_be_ruled_out(client, row):
    wide = client.post("/predict?alpha=0.001", json=row).json()["prediction_sets"]
    narrow = client.post("/predict?alpha=0.5", json=row).json()["prediction_sets"]
    assert set(narrow[0]) <= set(wide[0]) <= set(SCHEMA.classes)
    assert wide[0]


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_a_wrong_option_is_named(client, row, path):
    body = row if path == "/predict" else {"samples": [row]}
    answer = client.post(f"{path}?alpha=1.5&partial=perhaps", json=body)
    assert answer.status_code == 400
    assert [e["field"] for e in answer.json()["errors"]] == ["alpha", "partial"]


def test_partial_answers_the_good_rows_and_lists_the_bad(client, row):
    first = SCHEMA.names[0]
    samples = [row, {**row, first: "wide"}, row, {**row, "extra": 1}]
    answer = client.post("/predict/batch?partial=true", json={"samples": samples}).json()
    assert len(answer["predictions"]) == 2
    assert [(bad["index"], bad["errors"][0]["pointer"]) for bad in answer["rejected"]] == [
        (1, f"/samples/1/{first}"),
        (3, "/samples/3/extra"),
    ]


def test_partial_without_a_good_row_is_refused(client, row):
    answer = client.post("/predict/batch?partial=true", json={"samples": [{**row, SCHEMA.names[0]: None}]})
    assert answer.status_code == 400


def test_without_partial_one_bad_row_refuses_the_batch_and_logs_nothing(client, home, row):
    answer = client.post("/predict/batch", json={"samples": [row, {}]})
    assert answer.status_code == 400
    assert [e["pointer"] for e in answer.json()["errors"]] == [
        f"/samples/1/{f.name}" for f in SCHEMA.features if not f.missing
    ]
    with AuditLog.open(home / "audit.db", read_only=True) as log:
        assert log.count() == 0


def test_without_a_model_predicting_says_what_to_run(make_client, tmp_path, row):
    client = make_client(home=tmp_path / "empty")
    answer = client.post("/predict", json=row)
    assert answer.status_code == 503
    assert "make train" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) >= 1


#: A program of its own: MLflow warns of things in MLflow.
PYFUNC = """
import json, sys, mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
print(model.predict(pandas.DataFrame(json.loads(sys.argv[3]))).to_json(orient="records", double_precision=15))
"""


@pytest.mark.slow
def test_a_trained_model_gives_the_same_answers_everywhere(trained_home, tmp_path):
    shutil.copytree(trained_home / "bundles", tmp_path / "bundles")
    library = Predictor.load(champion(tmp_path / "bundles"))
    X, from_notebook = library.bundle.golden
    rows = [decode_row(SCHEMA, x) for x in X.tolist()]
    doubles = [dict(zip(SCHEMA.names, x, strict=True)) for x in X.tolist()]
    answers = {"notebook": from_notebook, "library": library.probabilities(X)}
    with TestClient(create_app(Settings(home=tmp_path, log_level="warning"))) as client:
        answers["/predict"] = [client.post("/predict", json=row).json()["probabilities"][0] for row in rows]
        answers["/predict/batch"] = client.post("/predict/batch", json={"samples": rows}).json()["probabilities"]
    words = [f"sqlite:///{trained_home}/mlflow.db", f"models:/{SCHEMA.name}@champion", json.dumps(doubles)]
    told = subprocess.run([sys.executable, "-c", PYFUNC, *words], capture_output=True, text=True, check=True)
    answers["mlflow"] = [[found[c] for c in SCHEMA.classes] for found in json.loads(told.stdout.splitlines()[-1])]

    for where, found in answers.items():
        P = np.asarray(found)
        assert np.abs(P - from_notebook).max() < 1e-6, where
        assert (P.argmax(axis=1) == from_notebook.argmax(axis=1)).all(), where


def test_an_answer_has_a_decision_for_each_row_where_costs_are_declared(houses):
    fewer = {name: value for name, value in HOUSES.example.items() if name not in ("heating", "garden", "rent")}
    found = houses.post("/predict/batch", json={"samples": [HOUSES.example, fewer]}).json()
    cheapest = ["quickly" if quickly > 1 / 6 else "slowly" for _, quickly in found["probabilities"]]
    assert found["decisions"] == cheapest == ["quickly", "slowly"]


def test_an_answer_has_no_decisions_without_costs(irises):
    assert "decisions" not in irises.post("/predict", json=IRIS.example).json()


def test_decisions_and_sets_are_those_of_the_rows_that_were_good(houses):
    samples = [{**HOUSES.example, "heating": "coal"}, HOUSES.example]
    found = houses.post("/predict/batch?partial=true&alpha=0.2", json={"samples": samples}).json()
    assert [bad["index"] for bad in found["rejected"]] == [0]
    assert len(found["decisions"]) == len(found["prediction_sets"]) == 1


HOSTILE_HOUSES = {
    "an unknown category": {"heating": "coal"},
    "a list for a category": {"heating": ["gas"]},
    "a look-alike": {"heating": "ｇas"},
    "blanks at an end": {"district": "Harbour "},
    "a control character": {"district": "a\0b"},
    "a very long name": {"district": "x" * 10_000},
    "no day of the calendar": {"built": "2026-02-30"},
    "a timestamp": {"built": "2026-02-28T00:00:00Z"},
    "a date as a number": {"built": 20260228},
    "a fraction of a room": {"rooms": 5.5},
    "a boolean as a number": {"garden": 1},
    "a boolean as text": {"garden": "true"},
    "a gap where none may be": {"condition": None},
}


@pytest.mark.parametrize("odd", HOSTILE_HOUSES.values(), ids=HOSTILE_HOUSES)
def test_a_value_of_another_kind_is_a_400_that_names_the_field(houses, odd):
    (field,) = odd
    answer = houses.post("/predict", json={**HOUSES.example, **odd})
    assert answer.status_code == 400
    assert [e["pointer"] for e in answer.json()["errors"]] == [f"/{field}"]


ALL_KINDS = (
    Number("{}", "", 0, 9, "A number.", 1),
    Number("{}", "", 0, 9, "A count.", 1, whole=True, missing=True),
    YesNo("{}", "A yes.", True),
    Category("{}", ("select", "drop table"), "A word.", "select"),
    Category("{}", ("a", "b"), "A word.", "a", other=True, missing=True),
    Date("{}", "2000-01-01", "2030-01-01", "A day.", "2020-02-29"),
)
#: Words of Python, SQL, msgspec and the wire that are safe as names of features.
NAMES = ("class", "None", "self", "select", "from", "order", "group", "table", "user", "index", "count", "samples")
NAMES += ("features", "rowid", "row", "é", "errors", "key", "default", "null")


@pytest.mark.parametrize("turn", range(len(ALL_KINDS)))
def test_a_feature_of_any_kind_may_be_called_like_a_word_of_python_or_sql(make_service, turn):
    features = [replace(ALL_KINDS[(i + turn) % len(ALL_KINDS)], name=name) for i, name in enumerate(NAMES)]
    schema = Schema("words", "word", tuple(features), "where", ("null", "True"), costs=((0, 1), (2, 0)))
    client = make_service(schema)
    (id,) = client.post("/predict", json=schema.example).json()["prediction_ids"]
    assert client.post(f"/predictions/{id}/label", json={"label": "null"}).status_code == 200
    found = client.get(f"/predictions/{id}").json()
    assert found["features"] == schema.example
    assert found["true_label"] == "null"
    assert all(name in client.get("/openapi.json").text for name in schema.names)


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("name", ["id", "time", "label", "model_version", "decision", "true"])
def test_a_name_that_the_log_has_already_is_refused_for_every_kind(kind, name):
    with pytest.raises(ValueError, match="a column"):
        Schema("words", "word", (replace(kind, name=name),), "target", ("a", "b"))
