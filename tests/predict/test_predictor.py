"""A champion that is asked."""

import numpy as np
import pytest

from iris_nb.predict.predictor import conformal_threshold


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1])
def test_a_share_of_errors_lies_between_none_and_all(alpha):
    with pytest.raises(ValueError, match="between 0 and 1"):
        conformal_threshold(np.array([0.1]), alpha)
