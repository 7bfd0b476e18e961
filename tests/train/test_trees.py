"""Tree ensembles as a node of a graph."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from iris_nb.examples import IRIS, irises
from iris_nb.session import open_session, run_session
from iris_nb.train.data import arrays
from iris_nb.train.graph import apply
from iris_nb.train.trees import _forest_trees, boosted_probabilities, forest_probabilities

X, Y = arrays(irises(), IRIS)


def difference(model, rows):
    "The largest difference between what a graph answers and what scikit-learn does."
    write = forest_probabilities if isinstance(model, RandomForestClassifier) else boosted_probabilities
    onnx = apply(lambda x: write(model, x), rows.shape[1], len(model.classes_))
    return np.abs(run_session(open_session(onnx), rows) - model.predict_proba(rows)).max()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("leaf", [1, 4])
def test_a_forest_agrees_to_the_last_digit_on_its_own_split_points(seed, leaf):
    forest = RandomForestClassifier(20, min_samples_leaf=leaf, random_state=seed).fit(X, Y)
    splits = np.concatenate([tree.threshold[~tree.leaf] for tree in _forest_trees(forest)])
    on = np.random.default_rng(seed).choice(splits, (2000, 4))
    rows = np.vstack([on, np.nextafter(on, 99), np.nextafter(on, 0)])
    assert difference(forest, rows) < 1e-14


def test_boosted_trees_agree_to_the_last_digit_on_their_own_split_points():
    boosted = HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=5).fit(X, Y)
    splits = np.concatenate([g.nodes["num_threshold"] for step in boosted._predictors for g in step])
    on = np.random.default_rng(0).choice(splits, (2000, 4))
    rows = np.vstack([on, np.nextafter(on, 99), np.nextafter(on, 0)])
    assert difference(boosted, rows) < 1e-14


def test_a_tree_that_is_only_a_leaf_is_converted_too():
    forest = RandomForestClassifier(3, min_samples_leaf=140, random_state=0).fit(X, Y)
    assert {tree.leaf.size for tree in _forest_trees(forest)} == {1}
    assert difference(forest, X) < 1e-14


def mixed(classes, rows=1500, seed=0):
    "Numbers and two columns of categories with gaps, and classes that depend on all of them."
    rng = np.random.default_rng(seed)
    Z = np.column_stack([rng.normal(size=rows), rng.integers(0, 5, rows), rng.integers(0, 60, rows)]).astype(float)
    score = Z[:, 0] + np.isin(Z[:, 1], [1, 4]) + (Z[:, 2] % 3 == 0) + rng.normal(0, 0.3, rows)
    Z[rng.random(Z.shape) < 0.1] = np.nan
    return Z, np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_boosted_trees_with_sets_of_categories_and_gaps_agree_to_the_last_digit(classes):
    Z, y = mixed(classes)
    boosted = HistGradientBoostingClassifier(max_iter=20, categorical_features=[1, 2]).fit(Z, y)
    assert any(grower.nodes["is_categorical"].any() for step in boosted._predictors for grower in step)
    assert difference(boosted, mixed(classes, 5000, seed=1)[0]) < 1e-14


def test_a_category_that_boosted_trees_have_not_seen_goes_the_way_of_a_gap():
    Z, y = mixed(3)
    asked = mixed(3, 5000, seed=1)[0]
    for seen in ([0, 1], [0, 3], [4]):  # positions beyond, between and before
        few = np.where(np.isin(Z[:, 1], seen), Z[:, 1], np.nan)
        known = np.column_stack([Z[:, 0], few, Z[:, 2]])
        boosted = HistGradientBoostingClassifier(max_iter=20, categorical_features=[1, 2]).fit(known, y)
        assert difference(boosted, asked) < 1e-14


@pytest.mark.parametrize("classes", [2, 3, 4, 12])
def test_a_forest_that_was_grown_on_gaps_agrees_to_the_last_digit(classes):
    Z, y = mixed(classes)
    forest = RandomForestClassifier(15, min_samples_leaf=3, random_state=0).fit(Z, y)
    assert difference(forest, mixed(classes, 5000, seed=1)[0]) < 1e-14


def test_a_forest_that_was_grown_without_gaps_agrees_where_there_are_some():
    Z, y = mixed(5)
    forest = RandomForestClassifier(15, random_state=0).fit(np.nan_to_num(Z), y)
    assert difference(forest, Z) < 1e-14
