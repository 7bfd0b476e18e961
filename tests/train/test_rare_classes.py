"""Measures of rare classes and of costs mean what they say, whatever the classes are."""

import numpy as np
import pytest

from iris_nb.examples import HOUSES, IRIS
from iris_nb.train.rare_classes import cost_measures, ranking_measures, recall_at_precision


def test_recall_at_a_precision_counts_rows():
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    truth = np.array([True, False, True, False, True])
    assert recall_at_precision(truth, score, 1.0) == pytest.approx(1 / 3)
    assert recall_at_precision(truth, score, 0.66) == pytest.approx(2 / 3)
    assert recall_at_precision(truth, score, 0.6) == 1
    assert recall_at_precision(~truth, score, 0.9) == 0


@pytest.mark.parametrize("classes", [2, 3, 30])
def test_a_model_that_guesses_the_shares_is_measured_as_one(classes):
    y = np.random.default_rng(0).choice(classes, 3000, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    P = np.tile(np.bincount(y, minlength=classes) / 3000, (3000, 1))
    found = ranking_measures(P, y)
    assert found["balanced_accuracy"] == pytest.approx(1 / classes)
    assert found["roc_auc"] == pytest.approx(0.5)
    assert found["pr_auc_rarest"] == pytest.approx(np.bincount(y).min() / 3000)
    assert found["recall_at_precision_0.5"] == 0


def test_a_class_without_rows_is_no_reason_to_fail():
    y = np.array([0, 0, 1, 1])
    assert ranking_measures(np.eye(3)[y], y)["roc_auc"] == 1


def test_decisions_cost_what_the_declaration_says():
    y, P = np.array([0, 0, 0, 1]), np.array([[0.9, 0.1], [0.7, 0.3], [0.95, 0.05], [0.9, 0.1]])
    # suspected where the chance is above one in six: one in vain costs 1, one overlooked costs 5
    assert cost_measures(P, y, HOUSES) == {"cost": 6 / 4, "cost_of_one_decision": 3 / 4}
    assert cost_measures(P, y, IRIS) == {}
