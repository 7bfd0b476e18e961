"""Counts are compared exactly, however few there are."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, fisher_exact

from iris_nb.monitor.distances import compare_counts, count_distances, count_levels


def counts(*values):
    return np.array(values, dtype=float)


def test_many_rows_are_compared_by_the_textbook():
    then, now = counts(500, 300, 200), counts(60, 20, 20)
    statistic, p, threshold = compare_counts(then, now, 0.05)
    known = chi2_contingency([then, now], correction=False)
    assert statistic == pytest.approx(known.statistic)
    assert p == pytest.approx(known.pvalue)
    assert threshold == pytest.approx(5.991, abs=1e-3)


def test_few_rows_are_compared_by_permutation():
    p = compare_counts(counts(39, 1), counts(15, 5), 0.05, 20_000)[1]
    assert p == pytest.approx(fisher_exact([[39, 1], [15, 5]]).pvalue, abs=0.01)


def test_a_single_new_value_in_a_small_window_is_no_alarm():
    assert compare_counts(counts(100, 100, 0), counts(10, 9, 1), 0.05)[1] > 0.05


def test_a_new_value_that_is_frequent_is_one():
    assert compare_counts(counts(100, 100, 0), counts(8, 7, 5), 0.01)[1] < 0.001


@pytest.mark.parametrize("now", [counts(0, 0), counts(9, 0)])
def test_without_rows_or_with_one_level_only_there_is_no_difference(now):
    assert compare_counts(counts(20, 0), now, 0.05) == (0.0, 1.0, 0.0)
    assert set(count_distances(counts(0, 0), now).values()) == {0.0}


def test_gaps_are_not_counted():
    assert count_levels(np.array([0, 2, np.nan, 2]), 4).tolist() == [1, 0, 2, 0]


def test_two_levels_in_few_rows_are_compared_exactly():
    then, now = counts(97, 3), counts(16, 4)
    _, p, threshold = compare_counts(then, now, 0.01)
    assert np.isclose(p, fisher_exact([then, now]).pvalue)
    assert (p < 0.01) == (compare_counts(then, now, 0.01)[0] > threshold)


def test_levels_that_are_all_rare_are_compared_where_they_stay_apart():
    then, now = np.full(10, 15.0), counts(20, *[0] * 9)
    assert compare_counts(then, now, 0.01)[1] == 1
    assert compare_counts(then, now, 0.01, merge=False)[1] < 0.001
