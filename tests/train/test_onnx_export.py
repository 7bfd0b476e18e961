"""The way of a candidate to ONNX."""

import warnings

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline

from iris_nb.examples import HOUSES, IRIS, houses, irises
from iris_nb.schema import Number, Schema, encode_columns
from iris_nb.session import open_session, run_session
from iris_nb.train.candidates import CANDIDATES, ModelError, build, candidate, candidates_for
from iris_nb.train.data import arrays
from iris_nb.train.onnx_export import _parity_fault, random_rows, to_onnx
from tests.train import made

X, Y = arrays(irises(), IRIS)
ROWS = np.vstack([X, random_rows(IRIS)])


@pytest.mark.parametrize("name", [c.name for c in CANDIDATES])
def test_a_candidate_answers_from_onnx_as_it_does_from_scikit_learn(name):
    fitted = build(candidate(name)).fit(X, Y)
    assert _parity_fault(fitted, ROWS, IRIS) == ""
    session = open_session(to_onnx(fitted, IRIS))
    assert [i.name for i in session.get_inputs()] == ["X"]
    assert [o.name for o in session.get_outputs()] == ["probabilities"]
    assert np.abs(run_session(session, ROWS) - fitted.predict_proba(ROWS)).max() <= 1e-6


def two_classes(decimals, count=200):
    random = np.random.default_rng(decimals)
    y = np.arange(count) % 2
    schema = Schema("pairs", "pair", tuple(Number(f"f{i}", "", -6, 8, "", 0) for i in range(3)), "kind", ("a", "b"))
    return schema, (random.normal(size=(count, 3)) + y[:, None] * [1, 2, 0]).round(decimals), y


@pytest.mark.parametrize("decimals", [0, 1, 6])
@pytest.mark.parametrize("name", [c.name for c in CANDIDATES])
def test_every_candidate_has_an_exact_form_for_two_classes(name, decimals):
    schema, X, y = two_classes(decimals)
    assert _parity_fault(build(candidate(name)).fit(X, y), np.vstack([X, random_rows(schema)]), schema) == ""


def agrees(made, X, y, count=2000):
    "Whether every candidate that suits a table answers from ONNX as it does from scikit-learn; names those that do."
    rows = np.vstack([X, random_rows(made, count)])
    suitable, _ = candidates_for(made, len(X))
    for c in suitable:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a model says of a hard table is another matter
            fitted = build(c).fit(X, y)
        assert _parity_fault(fitted, rows, made) == "", c.name
    return {c.name for c in suitable}


@pytest.mark.parametrize("classes", [2, 3, 30])
@pytest.mark.parametrize("values", [12, 300])
def test_every_candidate_has_an_exact_form_for_a_table_of_every_kind(classes, values):
    table = made.schema(classes, values)
    names = agrees(table, *made.rows(table, 1000))
    assert {"logistic_regression", "logistic_regression_target", "random_forest", "boosted_trees"} <= names
    assert "boosted_trees_strong" in names
    assert ("support_vector" in names) == (classes < 30)


def test_every_candidate_has_an_exact_form_for_houses():
    table = houses(600)
    X = np.array(encode_columns(HOUSES, table[list(HOUSES.names)].values.tolist())).T
    names = agrees(HOUSES, X, (table[HOUSES.target] == HOUSES.classes[1]).to_numpy(int), 10_000)
    assert {"k_nearest", "boosted_trees_strong"} <= names


def test_every_candidate_has_an_exact_form_where_the_fold_lacks_gaps_values_and_days():
    table = made.schema(3)
    X, y = made.rows(table, gaps=0)
    X[:, 6], X[:, 7], X[:, 2] = X[:, 6] % 4, 0, 5
    agrees(table, X, y)


def test_every_candidate_has_an_exact_form_where_columns_hold_nothing_but_gaps():
    table = made.schema(3)
    X, y = made.rows(table)
    X[:, [1, 4, 5, 7]] = np.nan
    agrees(table, X, y)


def test_every_candidate_has_an_exact_form_for_ordered_numbers_and_gaps_alone():
    table = made.schema(3, features=made.schema().features[:3])
    assert {"lda", "naive_bayes"} <= agrees(table, *made.rows(table))


def test_the_rows_to_compare_on_hold_every_category_gaps_and_the_edges():
    table = made.schema(values=900)
    rows = random_rows(table)
    for j, f in enumerate(table.features):
        known = rows[~np.isnan(rows[:, j]), j]
        assert (known.min(), known.max()) == f.bounds
        assert (0.15 < np.isnan(rows[:, j]).mean() < 0.25) == f.missing
        assert set(np.arange(len(f.levels))) <= set(known)
    assert rows[:2].tolist() == [[f.bounds[i] for f in table.features] for i in (0, 1)]
    assert all(len(random_rows(table, count)) == count for count in (1, 3, 50))


def test_the_rows_to_compare_on_lie_in_the_schemas_ranges_and_some_are_measured():
    rows = random_rows(IRIS)
    assert len(rows) == 10_000
    for j, feature in enumerate(IRIS.features):
        assert feature.low <= rows[:, j].min() < rows[:, j].max() <= feature.high
    assert (rows[1::2] == rows[1::2].round(1)).mean() > 0.99


def test_a_model_without_an_onnx_form_is_refused_with_a_sentence():
    fitted = make_pipeline(DummyClassifier()).fit(X, Y)
    with pytest.raises(ModelError, match="^DummyClassifier can't be expressed in ONNX: "):
        to_onnx(fitted, IRIS)
    assert _parity_fault(fitted, X, IRIS).startswith("DummyClassifier can't be expressed")


def test_a_model_that_answers_differently_is_refused_with_numbers(monkeypatch):
    first, second = (build(candidate(name)).fit(X, Y) for name in ("lda", "qda"))
    onnx = to_onnx(second, IRIS)
    monkeypatch.setattr("iris_nb.train.onnx_export.to_onnx", lambda fitted, schema: onnx)
    assert "get another class and probabilities differ by up to" in _parity_fault(first, ROWS, IRIS)


def test_a_model_that_has_not_seen_every_class_is_refused():
    with pytest.raises(ModelError, match="not fitted on all of the classes"):
        to_onnx(build(candidate("lda")).fit(X[:100], Y[:100]), IRIS)
