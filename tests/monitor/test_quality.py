"""Accuracy estimated from confidences."""

import numpy as np

from iris_nb.monitor.quality import calibrate, expected


def test_no_answers_have_no_accuracy():
    estimate = expected([], calibrate([0.9, 0.8], [True, False]))
    assert np.isnan(estimate.value)
    assert (estimate.low, estimate.high) == (0.0, 1.0)
