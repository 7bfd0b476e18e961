"""Bodies and answers that are packed."""

import gzip
import zlib

import pytest

from serve.coding import packed, unpacked
from serve.errors import InvalidInput, TooLarge, UnknownCoding

TEXT = b"0123456789" * 1000
PACK = {"gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("coding", PACK)
def test_a_packed_body_is_read(coding):
    assert unpacked(PACK[coding](TEXT), coding, len(TEXT)) == TEXT
    assert unpacked(PACK[coding](TEXT), f" X-{coding.upper()}", len(TEXT)) == TEXT


@pytest.mark.parametrize("coding", ["", "identity"])
def test_a_body_as_it_is_stays_so(coding):
    assert unpacked(TEXT, coding, 1) == TEXT


def test_a_coding_that_is_not_known_is_named():
    with pytest.raises(UnknownCoding, match="not 'br'") as refused:
        unpacked(TEXT, "br", len(TEXT))
    assert refused.value.headers == {"accept-encoding": "gzip, deflate"}


@pytest.mark.parametrize("coding", PACK)
def test_the_limit_holds_for_what_a_body_unpacks_to(coding):
    with pytest.raises(TooLarge, match="9,999 bytes"):
        unpacked(PACK[coding](TEXT), coding, 9_999)


@pytest.mark.parametrize("coding", PACK)
@pytest.mark.parametrize("damage", [lambda b: TEXT, lambda b: b[:-5], lambda b: b + b"more", lambda b: b""])
def test_a_damaged_body_is_refused(coding, damage):
    with pytest.raises(InvalidInput):
        unpacked(damage(PACK[coding](TEXT)), coding, len(TEXT))


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate", "gzip"),
        ("deflate", "deflate"),
        ("br;q=1, GZIP;q=0.5", "gzip"),
        ("gzip;q=0, deflate", "deflate"),
        ("br", ""),
        ("", ""),
    ],
)
def test_an_answer_is_packed_as_its_caller_takes_it(accepted, coding):
    payload, named = packed(TEXT, accepted)
    assert named == coding
    assert unpacked(payload, named, len(TEXT)) == TEXT
    assert (len(payload) < len(TEXT)) is bool(coding)


def test_a_short_answer_leaves_as_it_is():
    assert packed(b"short", "gzip") == (b"short", "")
