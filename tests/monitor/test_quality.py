"""Accuracy estimated from confidences."""

import numpy as np
import pandas as pd
import pytest

from iris_nb.examples import HOUSES, PEOPLE
from iris_nb.monitor.quality import calibrate, cost_of, expected


def test_no_answers_have_no_accuracy():
    estimate = expected([], calibrate([0.9, 0.8], [True, False]))
    assert np.isnan(estimate.value)
    assert (estimate.low, estimate.high) == (0.0, 1.0)


def test_a_cost_is_that_of_the_decision_which_was_logged():
    rows = pd.DataFrame({"probabilities": [[0.9, 0.1]] * 2, "true_label": ["quickly", None]})
    cheapest = cost_of(rows, HOUSES)
    logged = cost_of(rows.assign(decision=["quickly", None]), HOUSES)  # the second was answered before there were costs
    assert (cheapest.expected, cheapest.realised, cheapest.labelled) == (pytest.approx(0.5), 5.0, 1)
    assert (logged.expected, logged.realised) == (pytest.approx((0.9 + 0.5) / 2), 0.0)


def test_without_costs_or_rows_nothing_is_said_of_them():
    rows = pd.DataFrame({"probabilities": [[0.9, 0.1]], "true_label": [None]})
    assert cost_of(rows, PEOPLE) is None
    assert cost_of(rows[:0], HOUSES) is None
    assert "true class" not in str(cost_of(rows, HOUSES))
