"Where a feature comes from: ages, and what is wrong with a declaration."

import math

import pytest

from iris_nb.origin import Lookup, age_words, parse_age
from iris_nb.schema import Category, Number, Schema, from_json, to_json
from tests.lookup.worlds import LOANS


@pytest.mark.parametrize(("text", "seconds"), [("7d", 604_800), ("1.5 h", 5400), ("2w", 1_209_600), ("", math.inf)])
def test_an_age_is_a_number_and_a_unit(text, seconds):
    assert parse_age(text) == seconds


@pytest.mark.parametrize("text", ["7", "d", "-1d", "1e3s", "7 D", "٧d", "1m", "1 month", " 7d"])
def test_what_is_no_age_is_none(text):
    assert parse_age(text) is None


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (59, "59 s"), (3600, "1 h"), (86400 * 9.5, "9.5 d")])
def test_an_age_is_written_in_its_largest_unit(seconds, words):
    assert age_words(seconds) == words


def test_where_a_feature_is_looked_up_stands_in_the_schema_s_json():
    assert from_json(to_json(LOANS)) == LOANS


def test_every_fault_of_a_lookup_is_named_at_once():
    def number(name: str, lookup: Lookup | None = None) -> Number:
        return Number(name, "", 0, 1, "A number.", 0.5, lookup=lookup)

    features = (
        number("given"),
        number("a", Lookup("our source", key="k", max_age="soon", absent=2)),
        number("b", Lookup("s", key="a", absent="missing")),
        number("c", Lookup("s", key="given", max_age="0d")),
        number("d", Lookup("s", key="id", column=" x")),
        Category("e", ("refuse", "missing"), "A text.", "refuse", lookup=Lookup("s", key="k")),
    )
    with pytest.raises(ValueError, match="This schema can't be used") as caught:
        Schema("s", "row", features, "y", ("n", "p"))
    said = str(caught.value).split("; ")
    assert len(said) == 10
    for words in (
        "our source",
        "soon",
        "absent=2",
        "declare missing=True",
        "looked up itself",
        "feature of text",
        "0d",
    ):
        assert any(words in sentence for sentence in said), words
    for words in ("a key can't be called 'id'", "a rule and one of its values", "blanks at the ends"):
        assert any(words in sentence for sentence in said), words
