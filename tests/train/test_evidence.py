"""What is shown of a selected model."""

import numpy as np

from iris_nb.examples import IRIS, irises
from iris_nb.train.data import arrays
from iris_nb.train.evidence import _explain_error, explain_errors

X, Y = arrays(irises(), IRIS)


def confused(count: int) -> np.ndarray:
    "Return probabilities that take the last `count` flowers for the first class, each with another certainty."
    P = np.eye(3)[Y]
    P[-count:] = [[p, 0, 1 - p] for p in np.linspace(0.6, 0.9, count)]
    return P


def test_few_mistakes_are_all_explained_in_the_order_of_the_rows():
    said = explain_errors(confused(3), X, Y, IRIS)
    assert [s.split(" is ")[0] for s in said] == ["Row 148", "Row 149", "Row 150"]


def test_of_many_mistakes_the_surest_are_explained_and_the_others_counted():
    said = explain_errors(confused(40), X, Y, IRIS, most=20)
    assert [s.split(" is ")[0] for s in said[:-1]] == [f"Row {i}" for i in range(131, 151)]
    assert said[-1] == "20 more rows are taken for another class."


def test_a_row_is_named_as_people_find_it():
    said = explain_errors(confused(1), X, Y, IRIS, [f"line {i}" for i in range(2, 152)])
    assert said[0].startswith("Line 151 is virginica and was taken for setosa with 60%")


def test_a_column_that_never_varies_does_not_spoil_the_explanation():
    flat = X.copy()
    flat[:, 0] = 5
    assert "nan" not in _explain_error(149, confused(1)[149], flat, Y, IRIS)
