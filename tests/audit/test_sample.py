"""A window of the log is counted and sampled at a bounded cost, whatever the clocks say."""

import numpy as np
import pandas as pd
import pytest

from iris_nb.audit.sample import encode_frame, sample_window
from iris_nb.examples import HOUSES
from tests.audit.logs import NOON, SECOND, entries, entry


def test_a_window_of_an_ordered_log_is_counted_exactly(log):
    log.append([*entries(40), entry(40, rows=7), entry(41)])
    seen = sample_window(log, NOON + 10 * SECOND, NOON + 41 * SECOND, buckets=31)
    assert seen.count == len(seen.rows) == 37
    assert seen.is_whole
    assert seen.traffic["count"].tolist() == [1] * 30 + [7]


@pytest.mark.parametrize("place_of_it", [0, 20])
@pytest.mark.parametrize("wrong_by", [10**14, -(10**14)])
def test_a_clock_that_is_wrong_makes_no_count_negative(log, place_of_it, wrong_by):
    group = entries(21)
    group[place_of_it] = entry(place_of_it, time=NOON + wrong_by)
    log.append(group)
    seen = sample_window(log, NOON - SECOND, NOON + 30 * SECOND)
    assert seen.traffic["count"].min() >= 0
    assert 20 <= seen.count <= 21
    assert sample_window(log, None, NOON + 30 * SECOND).count >= 20
    assert sample_window(log, NOON + 100 * SECOND, NOON + 200 * SECOND).count == 0


def test_an_empty_log_is_an_empty_window(log):
    seen = sample_window(log, None, NOON)
    assert (seen.count, len(seen.rows), seen.is_whole) == (0, 0, True)


def test_a_category_that_is_declared_no_more_is_a_gap_to_the_monitor(tmp_path):
    frame = pd.DataFrame({f.name: [f.to_log(f.example)] * 2 for f in HOUSES.features})
    frame["heating"] = ["gas", "wood"]
    frame["district"] = ["North", "Far Away"]
    X = encode_frame(frame, HOUSES)
    assert X[0, 2] == 0
    assert np.isnan(X[1, 2])
    assert X[1, 4] == len(HOUSES.features[4].levels) - 1  # declared as other
