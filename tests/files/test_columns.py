"""Columns of a table as numbers: what JSON takes for a number, and nothing else."""

import msgspec
import numpy as np
import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from iris_nb.files.columns import to_numbers
from iris_nb.schema import parse_number
from tests.spellings import spelling


def as_json(text):
    "What the service makes of a value that is spelled so in a body: a number, or None."
    try:
        value = msgspec.json.decode(f'{{"x": {text}}}')["x"]
    except (msgspec.DecodeError, UnicodeError):
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) <= 1e308 else None


@given(spelling)
@example("5\n")
def test_a_text_is_a_number_exactly_where_json_says_so(text):
    expected = as_json(text)
    found = parse_number(text)
    assert found == expected or abs(found or 0) > 1e308


@given(st.lists(spelling, max_size=20))
def test_a_column_of_texts_holds_the_numbers_that_single_texts_do(texts):
    found = to_numbers(pa.array(texts, pa.string()))
    assert [None if np.isnan(x) else x for x in found] == [parse_number(text) for text in texts]


@given(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.none()), min_size=1))
def test_whole_numbers_become_the_floats_that_json_makes_of_them(values):
    found = to_numbers(pa.array(values, pa.int64()))
    assert [None if np.isnan(x) else x for x in found] == [None if v is None else float(v) for v in values]
