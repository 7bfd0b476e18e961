"""What seldom happens to the prediction log, seen from outside."""

import pytest

from iris_nb.audit.history import _percentile


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_percentile_of_nothing_is_the_largest_that_was_seen(share):
    assert _percentile({}, share, 3.0) == 3.0
