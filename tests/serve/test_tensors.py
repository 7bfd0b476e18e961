"""Tensors to rows: whatever is sent, it is rows or a sentence."""

from contextlib import suppress

import msgspec
import pytest

from iris_nb.examples import HOUSES, IRIS, PEOPLE
from iris_nb.schema import faults_of
from serve.errors import InvalidInput
from serve.tensors import example_of, matrix_of, read
from tests.serve.spoil import spoilt


@pytest.mark.parametrize("raw", [b"", b"12345678"])
def test_a_spoilt_request_is_rows_that_the_schema_takes_or_a_sentence(raw):
    for body in spoilt(example_of(HOUSES), 2000):
        with suppress(InvalidInput):
            for row in read(HOUSES, body + raw, 100, str(len(body))).rows:
                assert not faults_of(HOUSES, dict(zip(HOUSES.names, row, strict=True)))


def test_the_documented_example_is_taken():
    for schema in (HOUSES, IRIS, PEOPLE):
        [row] = read(schema, msgspec.json.encode(example_of(schema)), 1).rows
        assert dict(zip(schema.names, row, strict=True)) == schema.example


def test_a_matrix_is_published_for_plain_numbers_only():
    assert matrix_of(HOUSES) is None
    found = matrix_of(PEOPLE)
    assert found is not None
    assert found.shape == [-1, 2]
