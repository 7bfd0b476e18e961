"""Drift is judged at a cost that does not grow with the training sample, and by tests that keep their level."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from iris_nb.bundle import champion
from iris_nb.monitor.assess import reference_in
from iris_nb.monitor.drift import (
    REFERENCE_ROWS,
    Reference,
    detect_drift,
    history,
    null_distribution,
    reference_rows,
)
from iris_nb.predict.predictor import Predictor
from iris_nb.schema import Number, Schema


def wide(columns):
    features = tuple(Number(f"x{i}", "cm", -100, 100, "A measurement.", 0.0) for i in range(columns))
    return Schema("wide", "row", features, "kind", ("no", "yes"))


def reference(rows, columns=3, decimals=None):
    X = np.random.default_rng(0).normal(size=(rows, columns))
    X = X if decimals is None else X.round(decimals)
    return Reference(X, ["yes" if x > 0 else "no" for x in X[:, 0]], wide(columns))


def window(rows, columns=3, shift=0.0):
    X = np.random.default_rng(1).normal(size=(rows, columns))
    X[:, 0] += shift
    times = pd.date_range("2026-05-01", periods=rows, freq="min", tz="UTC")
    return pd.DataFrame(X, columns=list(wide(columns).names)).assign(
        label=np.where(X[:, 0] > 0, "yes", "no"), time=times
    )


def test_a_large_training_sample_is_looked_at_through_a_fixed_part_of_it(bundles):
    predictor = Predictor.load(champion(bundles))
    X, labels = predictor.bundle.reference
    times = 50_000 // len(X)
    large = replace(predictor.bundle, reference=(np.tile(X, (times, 1)), labels * times))
    found = [reference_in(replace(predictor, bundle=large)).X for _ in range(2)]
    assert len(found[0]) == REFERENCE_ROWS
    assert np.array_equal(*found)


def test_a_small_training_sample_is_looked_at_whole():
    X = np.arange(30.0).reshape(10, 3)
    assert reference_rows(X) is X


def test_features_without_ties_share_one_null_distribution():
    null = null_distribution(reference(200, columns=40), 100, 200)
    assert len({id(null.statistics[name]) for name in wide(40).names}) == 1


def test_a_feature_of_few_values_has_a_null_distribution_of_its_own():
    X = np.random.default_rng(0).normal(size=(200, 3))
    X[:, 2] = X[:, 2].round()
    null = null_distribution(Reference(X, ["yes", "no"] * 100, wide(3)), 100, 500)
    shared, coarse = null.statistics["x0"], null.statistics["x2"]
    assert null.statistics["x1"] is shared
    assert np.median(coarse) < np.median(shared)  # equal values leave fewer places for a gap


def test_a_null_distribution_is_the_same_each_time():
    first, second = (null_distribution(reference(100), 60, 700).statistics["x1"] for _ in range(2))
    assert len(first) == 700
    assert np.array_equal(first, second)


@pytest.mark.parametrize(("shift", "state"), [(0.0, "good"), (1.0, "alarm")])
def test_a_shift_is_found_by_its_name_and_nothing_else(shift, state):
    verdicts = {v.name: v.state for v in detect_drift(reference(300), window(200, shift=shift))}
    assert verdicts["x0"] == state
    assert verdicts["x1"] == verdicts["x2"] == "good"


def test_an_undrifted_history_stays_below_its_thresholds_and_a_drifted_one_does_not():
    trained = reference(300)
    for shift, above in ((0.0, False), (1.5, True)):
        past = history(trained, window(240, shift=shift), trained.schema.features[0])
        assert (past["value"] > past["threshold"]).all() == above
