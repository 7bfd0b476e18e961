"""The classifiers that are tried."""

import numpy as np
import pytest

from iris_nb.examples import IRIS, irises
from iris_nb.schema import Number, Schema
from iris_nb.train.candidates import CANDIDATES, LARGER, ModelError, build, candidate, candidates_for
from iris_nb.train.data import arrays
from iris_nb.train.onnx_export import to_onnx
from tests.train import made

X, Y = arrays(irises(), IRIS)


def test_there_are_enough_candidates_and_each_has_a_name_of_its_own():
    assert len({c.name for c in CANDIDATES}) == len(CANDIDATES) >= 8


def test_neighbours_answer_the_same_in_whatever_order_the_rows_are():
    random = np.random.default_rng(0)
    X, y = random.integers(0, 5, (200, 3)).astype(float), np.arange(200) % 2
    for order in (np.arange(len(y)), random.permutation(len(y))):
        P = build(candidate("k_nearest")).fit(X[order], y[order]).predict_proba(X)
        assert np.allclose(P, build(candidate("k_nearest")).fit(X, y).predict_proba(X))


def test_the_same_number_makes_the_same_model():
    first, second = (build(candidate("random_forest"), random_state=3).fit(X, Y) for _ in range(2))
    assert (first.predict_proba(X) == second.predict_proba(X)).all()


def names(schema, rows):
    return {c.name for c in candidates_for(schema, rows)[0]}


def wide(columns, classes):
    return Schema("wide", "row", tuple(Number(f"x{i}", "", -9, 9, "A number.", 0) for i in range(columns)), "kind",
                  tuple(f"k{i}" for i in range(classes)))  # fmt: skip


def test_a_small_table_of_numbers_gets_the_small_candidates_unchanged():
    suitable, left_out = candidates_for(IRIS, 150)
    assert list(suitable) == list(CANDIDATES)
    assert set(left_out) == {c.name for c in LARGER}


def test_every_candidate_is_tried_or_left_out_with_a_sentence():
    for schema, rows in ((IRIS, 150), (IRIS, 1_000_000), (made.schema(), 300), (made.schema(30), 5000)):
        suitable, left_out = candidates_for(schema, rows)
        assert {c.name for c in suitable} | set(left_out) == {c.name for c in (*CANDIDATES, *LARGER)}
        assert all(why.startswith(candidate(name).title + " is left out: ") for name, why in left_out.items())
        assert all(why.endswith(".") for why in left_out.values())


@pytest.mark.parametrize(
    ("schema", "rows", "out"),
    [
        (IRIS, 100_000, {"k_nearest", "support_vector"}),
        (wide(500, 2), 1000, {"qda", "naive_bayes", "k_nearest"}),
        (wide(4, 100), 5000, {"support_vector"}),
        (made.schema(), 1000, {"lda", "qda", "naive_bayes"}),
        (made.schema(values=1000), 1_000_000, {"logistic_regression"}),
    ],
)
def test_what_would_not_suit_a_table_is_left_out(schema, rows, out):
    assert not out & names(schema, rows)
    assert {"boosted_trees", "boosted_trees_strong", "random_forest"} <= names(schema, rows)
    assert {"logistic_regression", "logistic_regression_target"} & names(schema, rows)


def test_a_candidate_that_was_asked_for_by_name_is_tried_whatever_the_table():
    suitable, left_out = candidates_for(IRIS, 100_000, [candidate("support_vector")])
    assert [c.name for c in suitable] == ["support_vector"]
    assert not left_out


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ModelError, match="logistic_regression, .*boosted_trees_strong"):
        candidate("oracle")


@pytest.mark.parametrize("name", ["random_forest", "boosted_trees", "boosted_trees_strong"])
def test_trees_of_a_hundred_classes_stay_small_enough_to_serve(name):
    schema = wide(4, 100)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(5000, 4)), np.arange(5000) % 100
    (c,) = (c for c in candidates_for(schema, len(X))[0] if c.name == name)
    fitted = build(c)
    if "boosted" in name:  # bounded by the parameters alone
        assert c.parameters["max_iter"] * c.parameters["max_leaf_nodes"] * 100 <= 100_000
        X, y = X[:3000], y[:3000]
        fitted.set_params(histgradientboostingclassifier__max_iter=2)
    assert len(to_onnx(fitted.fit(X, y), schema)) < 20_000_000


def test_boosted_trees_know_their_categories():
    (c,) = (c for c in candidates_for(made.schema(), 300)[0] if c.name == "boosted_trees")
    assert build(c)[-1].categorical_features == [4, 6]
