"What a caller sends, where features are looked up: a schema made from the first."

import math
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from iris_nb.examples import HOUSES, IRIS
from iris_nb.request import has_columns, history_schema, looked_up, moment_text, parse_moment, request_schema
from iris_nb.schema import Category, Lookup, Number, Schema, fault_of
from tests.lookup.worlds import LOANS


@pytest.mark.parametrize("schema", [IRIS, HOUSES], ids=lambda s: s.name)
def test_a_schema_that_looks_nothing_up_is_what_callers_send(schema):
    assert request_schema(schema) is schema


def test_a_key_stands_once_where_the_first_of_its_features_stood():
    assert request_schema(LOANS).names == ("amount", "customer_id", "district")


def test_a_key_may_be_left_out_where_no_feature_needs_it():
    amount, customer, district = request_schema(LOANS).features
    assert [f.missing for f in (amount, customer, district)] == [False, False, True]


def test_a_key_may_be_a_feature_that_is_given():
    town = Category("town", ("A", "B"), "Where.", "A")
    price = Number("price", "€", 0, 9, "There.", 3, lookup=Lookup("prices", key="town"))
    assert request_schema(Schema("s", "row", (price, town), "y", ("n", "p"))).features == (town,)


@pytest.mark.parametrize("value", [5, "", " a", "a\n", "x" * 101, True, None, ["a"]])
def test_a_key_is_a_short_printable_text(value):
    assert fault_of(request_schema(LOANS).features[1], value)


def test_a_key_is_documented_as_text():
    found = msgspec.json.schema(request_schema(LOANS).features[1].wire_type)
    assert (found["type"], found["minLength"], found["examples"]) == ("string", 1, ["1001"])


def test_rows_of_a_file_have_a_moment_too():
    history = history_schema(LOANS)
    assert history.sources == ("amount", "customer_id", "district", "asked at")
    assert fault_of(history.features[-1], "2026-11-25 10:00") is None
    assert "a moment" in str(fault_of(history.features[-1], "yesterday"))


def test_a_file_may_hold_the_features_themselves():
    assert looked_up(LOANS) == ["income", "rating", "price"]
    assert has_columns(LOANS, ["income", "rating", "price", "else"])
    assert not has_columns(LOANS, ["income", "rating"])
    renamed = replace(LOANS, features=tuple(replace(f, column=f.name.upper()) for f in LOANS.features))
    assert has_columns(renamed, ["INCOME", "RATING", "PRICE"])


@pytest.mark.parametrize(
    ("text", "time"),
    [("1970-01-01", 0), ("1970-01-01T01:00:00.000001+01:00", 1), ("1969-12-31 23:59:59Z", -1_000_000)],
)
def test_a_moment_is_exact_to_the_microsecond(text, time):
    assert parse_moment(text) == time
    assert parse_moment(moment_text(time)) == time


def test_no_model_sees_a_key():
    key = request_schema(LOANS).features[1]
    assert math.isnan(key.encode("c1"))
    assert key.decode(1.0) is None
    assert np.isnan(key.draw(np.random.default_rng(0), 3)).all()
    assert (key.parse("c1"), key.words("c1"), key.declaration_faults()) == ("c1", "c1", [])


def test_a_key_that_is_sent_as_a_number_is_shown_how_to_be_written():
    assert str(fault_of(request_schema(LOANS).features[1], 1001)) == (
        'customer_id: expected a text of up to 100 characters, such as "1001", got 1001'
    )


def test_a_declaration_written_with_lists_has_a_request_too():
    classes: Any = ["paid", "not paid"]
    assert request_schema(replace(LOANS, classes=classes)).names == request_schema(LOANS).names
