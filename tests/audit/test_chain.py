"""The hash chain of the audit log."""

import pytest

from iris_nb.audit.chain import parse_position


@pytest.mark.parametrize("text", ["", "3", "3:abc", f"x:{'0' * 64}"])
def test_what_is_no_place_in_the_chain_is_refused(text):
    with pytest.raises(ValueError, match="no place in a chain"):
        parse_position(text)
