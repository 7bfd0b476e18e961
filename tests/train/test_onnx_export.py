"""The way of a candidate to ONNX."""

from functools import partial

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline

from iris_nb.examples import IRIS, irises
from iris_nb.schema import Number, Schema
from iris_nb.session import open_session, run_session
from iris_nb.train import onnx_export
from iris_nb.train.candidates import CANDIDATES, ModelError, build, candidate
from iris_nb.train.data import arrays
from iris_nb.train.trees import forest_trees

parity_fault, random_rows, to_onnx = (
    partial(step, schema=IRIS) for step in (onnx_export.parity_fault, onnx_export.random_rows, onnx_export.to_onnx)
)
X, Y = arrays(irises(), IRIS)
ROWS = np.vstack([X, random_rows()])


@pytest.mark.parametrize("name", [c.name for c in CANDIDATES])
def test_a_candidate_answers_from_onnx_as_it_does_from_scikit_learn(name):
    fitted = build(candidate(name)).fit(X, Y)
    assert parity_fault(fitted, ROWS) == ""
    session = open_session(to_onnx(fitted))
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
    assert (
        parity_fault(build(candidate(name)).fit(X, y), np.vstack([X, random_rows(schema=schema)]), schema=schema) == ""
    )


def test_the_rows_to_compare_on_lie_in_the_schemas_ranges_and_some_are_measured():
    rows = random_rows()
    assert len(rows) == 10_000
    for j, feature in enumerate(IRIS.features):
        assert feature.low <= rows[:, j].min() < rows[:, j].max() <= feature.high
    assert (rows[1::2] == rows[1::2].round(1)).mean() > 0.99


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("leaf", [1, 4])
def test_a_forest_agrees_to_the_last_digit_on_its_own_split_points(seed, leaf):
    forest = RandomForestClassifier(20, min_samples_leaf=leaf, random_state=seed).fit(X, Y)
    splits = np.concatenate([tree.threshold[~tree.leaf] for tree in forest_trees(forest)])
    on = np.random.default_rng(seed).choice(splits, (2000, 4))
    rows = np.vstack([on, np.nextafter(on, 99), np.nextafter(on, 0)])
    answers = run_session(open_session(to_onnx(make_pipeline(forest))), rows)
    assert np.abs(answers - forest.predict_proba(rows)).max() < 1e-14


def test_boosted_trees_agree_to_the_last_digit_on_their_own_split_points():
    boosted = HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=5).fit(X, Y)
    splits = np.concatenate([g.nodes["num_threshold"] for step in boosted._predictors for g in step])
    on = np.random.default_rng(0).choice(splits, (2000, 4))
    rows = np.vstack([on, np.nextafter(on, 99), np.nextafter(on, 0)])
    answers = run_session(open_session(to_onnx(make_pipeline(boosted))), rows)
    assert np.abs(answers - boosted.predict_proba(rows)).max() < 1e-14


def test_a_tree_that_is_only_a_leaf_is_converted_too():
    forest = RandomForestClassifier(3, min_samples_leaf=140, random_state=0).fit(X, Y)
    assert {tree.leaf.size for tree in forest_trees(forest)} == {1}
    assert parity_fault(make_pipeline(forest), ROWS[:100]) == ""


def test_a_model_without_an_onnx_form_is_refused_with_a_sentence():
    fitted = make_pipeline(DummyClassifier()).fit(X, Y)
    with pytest.raises(ModelError, match="^DummyClassifier can't be expressed in ONNX: "):
        to_onnx(fitted)
    assert parity_fault(fitted, X).startswith("DummyClassifier can't be expressed")


def test_a_model_that_answers_differently_is_refused_with_numbers(monkeypatch):
    first, second = (build(candidate(name)).fit(X, Y) for name in ("lda", "qda"))
    onnx = to_onnx(second)
    monkeypatch.setattr("iris_nb.train.onnx_export.to_onnx", lambda fitted, schema: onnx)
    assert "get another class and probabilities differ by up to" in parity_fault(first, ROWS)


def test_a_model_that_has_not_seen_every_class_is_refused():
    with pytest.raises(ModelError, match="not fitted on all of the classes"):
        to_onnx(build(candidate("lda")).fit(X[:100], Y[:100]))
