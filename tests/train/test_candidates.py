"""The classifiers that are tried."""

import numpy as np

from iris_nb.examples import IRIS, irises
from iris_nb.train.candidates import CANDIDATES, build, candidate
from iris_nb.train.data import arrays

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
