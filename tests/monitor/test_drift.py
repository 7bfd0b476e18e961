"""Drift is judged at a cost that does not grow with the training sample, and by tests that keep their level."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from iris_nb.audit.sample import encode_frame
from iris_nb.bundle import champion
from iris_nb.examples import HOUSES, houses
from iris_nb.monitor.assess import reference_in
from iris_nb.monitor.drift import (
    _REFERENCE_ROWS,
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
    assert len(found[0]) == _REFERENCE_ROWS
    assert np.array_equal(*found, equal_nan=True)


def test_a_small_training_sample_is_looked_at_whole():
    X = np.arange(30.0).reshape(10, 3)
    assert reference_rows(X) is X


def test_features_without_ties_share_one_threshold():
    null = null_distribution(reference(200, columns=40), 100, 0.01)
    assert len(set(null.thresholds.values())) == 1


def test_a_feature_of_few_values_has_a_threshold_of_its_own():
    X = np.random.default_rng(0).normal(size=(200, 3))
    X[:, 2] = X[:, 2].round()
    null = null_distribution(Reference(X, ["yes", "no"] * 100, wide(3)), 100, 0.01)
    assert null.thresholds["x1"] == null.thresholds["x0"]
    assert null.thresholds["x2"] < null.thresholds["x0"]  # equal values leave fewer places for a gap


def test_a_wide_mixed_table_is_judged_at_the_level_that_many_questions_leave():
    rng, n = np.random.default_rng(0), 600
    X, W = (np.column_stack([rng.normal(size=n), *rng.poisson(2, (299, n)).astype(float)]) for _ in range(2))
    W[:, 299] = rng.poisson(3, n)
    table = wide(300)
    frame = pd.DataFrame(W, columns=list(table.names)).assign(label=["yes", "no"] * (n // 2))
    found = detect_drift(Reference(X, ["yes", "no"] * (n // 2), table), frame)
    assert [v.name for v in found if v.state == "alarm"] == ["x299"]


def test_a_window_beyond_the_largest_size_is_judged_by_a_lower_threshold():
    trained = reference(2000)
    at = [detect_drift(trained, window(rows))[0].threshold for rows in (1000, 4000)]
    root = np.sqrt([1 / 2000 + 1 / 1000, 1 / 2000 + 1 / 4000])
    assert np.isclose(at[1] / at[0], root[1] / root[0])


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


def logged(frame):
    "Return rows of houses as the log has them."
    columns = {f.name: [None if v != v else f.to_log(v) for v in frame[f.name].tolist()] for f in HOUSES.features}
    return pd.DataFrame(columns, dtype=object).assign(label=frame[HOUSES.target].tolist())


@pytest.fixture(scope="module")
def homes():
    rows = logged(houses(400))
    return Reference(encode_frame(rows, HOUSES), rows["label"].tolist(), HOUSES)


def alarms(homes, rows):
    return {v.name for v in detect_drift(homes, rows) if v.state == "alarm"}


def sentence_of(homes, rows, name):
    return next(v.sentence for v in detect_drift(homes, rows) if v.name == name)


def test_a_mixed_table_in_which_nothing_changed_raises_no_alarm(homes):
    assert alarms(homes, logged(houses(150, seed=2))) == set()


def test_each_feature_that_may_be_missing_is_asked_for_its_gaps(homes):
    names = [v.name for v in detect_drift(homes, logged(houses(150, seed=2)))]
    asked = ["heating missing", "garden missing", "rent missing"]
    assert names == [*HOUSES.names, *asked, "sold", "together"]
    assert names == [v.name for v in detect_drift(homes, logged(houses(5)))]  # also where nothing can be judged


def test_more_gaps_are_an_alarm_of_their_own_while_the_values_are_as_before(homes):
    rows = logged(houses(200, seed=3))
    rows.loc[np.random.default_rng(0).random(200) < 0.5, "rent"] = None
    found = alarms(homes, rows)
    assert "rent missing" in found
    assert "rent" not in found
    assert "Rent is missing in" in sentence_of(homes, rows, "rent missing")


def test_a_category_that_becomes_more_frequent_is_named(homes):
    rows = logged(houses(150, seed=4))
    rows.loc[np.random.default_rng(0).random(150) < 0.5, "heating"] = "oil"
    assert "heating" in alarms(homes, rows)
    assert "more are oil" in sentence_of(homes, rows, "heating")


def test_a_text_that_is_not_declared_is_named_even_where_it_is_no_alarm(homes):
    rows = logged(houses(150, seed=2))
    rows.loc[rows.index[rows["district"] == "other"][:3], "district"] = "<b>Harbour</b>"
    assert "district" not in alarms(homes, rows)
    assert 'Not in its list: "<b>Harbour</b>" (3)' in sentence_of(homes, rows, "district")


def test_a_date_that_moves_is_an_alarm_in_days(homes):
    rows = logged(houses(150, seed=5))
    rows["built"] = [f"{min(2049, int(day[:4]) + 60)}{day[4:]}".replace("-02-29", "-02-28") for day in rows["built"]]
    assert "built" in alarms(homes, rows)
    assert re.search(r"Built averages \d{4}-\d\d-\d\d instead of \d{4}-\d\d-\d\d", sentence_of(homes, rows, "built"))


def test_a_feature_with_hardly_any_values_can_not_be_judged_but_its_gaps_can(homes):
    rows = logged(houses(150, seed=2))
    rows.loc[5:, "rent"] = None
    found = {v.name: v for v in detect_drift(homes, rows)}
    assert found["rent"].state == "unsure"
    assert found["rent"].sentence.startswith("Only ")
    assert found["rent missing"].state == "alarm"
    rows["rent"] = None
    assert detect_drift(homes, rows)[-1].state in ("good", "alarm")  # no values at all are no error


def test_a_history_of_categories_is_measured_against_its_own_threshold(homes):
    rows = logged(houses(240, seed=6)).assign(time=pd.date_range("2026-05-01", periods=240, freq="min", tz="UTC"))
    before = history(homes, rows, HOUSES.features[2])
    rows.loc[120:, "heating"] = "oil"
    past = history(homes, rows, HOUSES.features[2])
    assert not (before["value"] > before["threshold"]).any()
    assert (past["value"] > past["threshold"]).tolist()[-5:] == [True] * 5


def test_rows_that_differ_in_a_gap_only_are_different_and_two_gaps_are_the_same(homes):
    rows = logged(houses(300, seed=7))
    repeated = pd.concat([rows[rows["rent"].isna()][:3]] * 60, ignore_index=True)
    assert {v.state for v in detect_drift(homes, repeated)} == {"unsure"}
