"""Formulas that NumPy computes and that a graph notes."""

import numpy as np
import pytest

from iris_nb.session import open_session, run_session
from iris_nb.train.graph import Graph, apply, look_up

X = np.array([[1.5, -2, 0], [np.nan, 3, 1], [0.25, 1e100, 2]])


def outcome(formula):
    "What the graph of a formula answers, and what NumPy does."
    return run_session(open_session(apply(formula, X.shape[1], 2)), X), formula(X)


@pytest.mark.parametrize(
    "formula",
    [
        lambda x: 1 - x[:, [0, 1]] / 3 + x[:, [1, 2]] * x[:, [1, 0]],
        lambda x: np.where(np.isnan(x[:, [0, 1]]), 7, np.floor(x[:, [0, 1]])),
        lambda x: np.concatenate([x[:, [1]] - x[:, [2]], np.absolute(x[:, [1]])], axis=1),
        lambda x: (x[:, [0, 1]] <= 1.5).astype(np.float64) - (x[:, [0, 1]] < 1.5).astype(np.float64),
        lambda x: look_up(np.array([[1.0, 2], [3, 4], [5, 6]]), x[:, 2].astype(np.int64)),
        lambda x: np.exp(np.minimum(x[:, [0, 1]], 1)),
    ],
)
def test_a_graph_answers_what_numpy_computes(formula):
    found, expected = outcome(formula)
    assert np.allclose(found, expected, rtol=1e-15, equal_nan=True)


def test_what_no_operator_stands_for_is_an_error_and_no_wrong_graph():
    with pytest.raises(TypeError):
        np.sin(Graph().x)
    with pytest.raises(TypeError):
        np.median(Graph().x)
    with pytest.raises(TypeError):
        np.add.reduce(Graph().x)
    with pytest.raises(TypeError, match="only columns"):
        Graph().x[0]
