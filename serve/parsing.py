"""From the bytes of a body to rows of numbers: a fast parser for good bodies, a thorough one for the rest."""

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec

from iris_nb.schema import faults_of, shown
from iris_nb.table import SCHEMA
from serve.errors import InvalidInput
from serve.schemas import BadRow, Batch, Fault, LabelRequest, Row

Numbers = tuple[float, ...]
_MAX_FAULTS = 1000  # in one answer: a small body can hold a great many
ALPHA = 0.001, 0.999  # error rates that a prediction set can be asked for
_LONGEST_NAME = 80  # characters of an unknown name that an answer repeats
_LONGEST_EXPECTED = 300  # characters of what was expected, which may list every name of a wide table
_QUOTES = 2 * len(SCHEMA.names)  # in a row whose every name is there once
_TWICE = object()  # stands for the value of a name that a body gives twice

_decode_row = msgspec.json.Decoder(Row).decode
_decode_batch = msgspec.json.Decoder(Batch).decode


def parse_row_fast(body: bytes) -> Numbers | None:
    "Return one row, or None where anything about it is odd and `parse_row` has to look closer."
    # msgspec silently keeps the last of two values with the same name. A row has no strings, so counting quotation
    # marks reveals a duplicate name.
    if body.count(b'"') == _QUOTES:
        with suppress(msgspec.MsgspecError, RecursionError, ValueError):
            return msgspec.structs.astuple(_decode_row(body))
    return None


def parse_batch_fast(body: bytes, max_rows: int) -> list[Numbers] | None:
    "Return the rows of a batch, or None where anything about them is odd."
    with suppress(msgspec.MsgspecError, RecursionError, ValueError):
        samples = _decode_batch(body).samples
        if len(samples) <= max_rows and body.count(b'"') == 2 + _QUOTES * len(samples):
            return [msgspec.structs.astuple(row) for row in samples]
    return None


def parse_row(body: bytes) -> Numbers:
    "Return one row; raise InvalidInput with what is wrong with it."
    row = _parse_json(body)
    errors, more = _row_faults(row, "")
    if errors:
        raise _invalid(errors, more)
    return tuple(float(row[name]) for name in SCHEMA.names)


def parse_batch(body: bytes, max_rows: int) -> list[Numbers]:
    "Return the rows of a batch; raise InvalidInput with what is wrong with them."
    rows, rejected, more = _split_valid(body, max_rows)
    if rejected:
        raise _invalid([fault for bad in rejected for fault in bad.errors], more)
    return rows


def parse_partial(body: bytes, max_rows: int) -> tuple[list[Numbers], list[BadRow]]:
    "Return the good rows of a batch, at least one, and what is wrong with the others; raise InvalidInput."
    rows, rejected, more = _split_valid(body, max_rows)
    if not rows:
        raise _invalid([fault for bad in rejected for fault in bad.errors], more)
    return rows, rejected


def _split_valid(body: bytes, max_rows: int) -> tuple[list[Numbers], list[BadRow], int]:
    """Return the good rows, the bad rows with their faults, and how many faults are not listed.

    At most _MAX_FAULTS are: later bad rows stand there with their index alone.
    """
    good: list[Numbers] = []
    rejected: list[BadRow] = []
    room, unlisted = _MAX_FAULTS, 0
    for i, row in enumerate(_samples_of(_parse_json(body), max_rows)):
        faults, more = _row_faults(row, f"/samples/{i}")
        if faults:
            rejected.append(BadRow(i, faults[:room]))
            unlisted += more + max(0, len(faults) - room)
            room = max(0, room - len(faults))
        else:
            good.append(tuple(float(row[name]) for name in SCHEMA.names))
    return good, rejected, unlisted


def parse_label(body: bytes) -> LabelRequest:
    "Return what a row really was; raise InvalidInput with what is wrong with the body."
    asked = _parse_json(body)
    if not isinstance(asked, dict):
        raise _invalid([Fault("", "", "an object with the field label", shown(asked))])
    label, correct = asked.get("label"), asked.get("correct", False)
    errors = []
    if not isinstance(label, str) or label not in SCHEMA.classes:
        errors.append(_wrong_value(asked, "label", f"one of {', '.join(SCHEMA.classes)}"))
    if not isinstance(correct, bool):
        errors.append(_wrong_value(asked, "correct", "true or false"))
    unknown, more = _unknown_fields(asked, LabelRequest.__struct_fields__, "label, correct and nothing else")
    if errors or unknown:
        raise _invalid(errors + unknown, more)
    return LabelRequest(str(label), correct is True)


def _wrong_value(body: dict[str, Any], name: str, expected: str) -> Fault:
    got = "nothing: the field is missing" if name not in body else shown(body[name])
    return _fault("", name, expected, "two values" if body.get(name) is _TWICE else got)


class _Options(NamedTuple):
    "What a query asks of the answer."

    alpha: float | None = None
    partial: bool = False


_NO_OPTIONS = _Options()


def parse_options(query: bytes) -> _Options:
    "Return the options in a query; raise InvalidInput that names all it can't read."
    if not query:
        return _NO_OPTIONS
    asked = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    readers = {"alpha": (_share, f"a number from {ALPHA[0]} to {ALPHA[1]}"), "partial": (_boolean, "true or false")}
    found, errors = dict[str, Any](), list[Fault]()
    for name, (read, expected) in readers.items():
        for text in asked.get(name, []):
            try:
                found[name] = read(text)
            except ValueError:
                errors.append(Fault("", name, expected, shown(text)))
    if errors:
        raise _invalid(errors[:_MAX_FAULTS], len(errors[_MAX_FAULTS:]))
    return _Options(**found)


def _mark_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    "Return an object's names and values, with a mark for each name that stands there more than once."
    row = dict(pairs)
    if len(row) < len(pairs):
        row.update((name, _TWICE) for name, times in Counter(name for name, _ in pairs).items() if times > 1)
    return row


def _parse_json(body: bytes) -> Any:
    "Return any JSON, NaN and names that stand twice included; raise InvalidInput where it is none."
    try:
        return json.loads(body.decode(), object_pairs_hook=_mark_duplicates)
    except RecursionError:
        got = "one that is nested too deeply"
    except UnicodeDecodeError as error:
        got = f"one that is not UTF-8 at byte {error.start}"
    except json.JSONDecodeError as error:
        got = f"one that ends too early or is not JSON at line {error.lineno}, column {error.colno}"
    except ValueError:
        got = "one with a number of thousands of digits"
    raise _invalid([Fault("", "", "a JSON body", got if body else "an empty body")])


def _samples_of(body: Any, max_rows: int) -> list[Any]:
    "Return the list under the batch's only field."
    if not isinstance(body, dict):
        raise _invalid([Fault("", "", "an object with the field samples", shown(body))])
    errors, samples = [], body.get("samples")
    if not isinstance(samples, list) or not 0 < len(samples) <= max_rows:
        got = f"a list of {len(samples):,}" if isinstance(samples, list) else shown(samples)
        got = "two values" if samples is _TWICE else got if "samples" in body else "nothing: the field is missing"
        errors = [Fault("/samples", "samples", f"a list of 1 to {max_rows:,} rows", got)]
    unknown, more = _unknown_fields(body, ("samples",), "samples and nothing else")
    if errors or unknown:
        raise _invalid(errors + unknown, more)
    return list(body["samples"])


def _unknown_fields(body: dict[str, Any], known: Iterable[str], expected: str) -> tuple[list[Fault], int]:
    "Return a fault for each unknown name, and how many are not listed."
    unknown = body.keys() - set(known)
    listed = islice((name for name in body if name in unknown), _MAX_FAULTS)
    faults = [_fault("", name, expected, "an unknown field") for name in listed]
    return faults, len(unknown) - len(faults)


def _row_faults(row: Any, where: str) -> tuple[list[Fault], int]:
    "Return the schema's faults of one row, with pointers that begin at `where`, and how many are not listed."
    unlisted = 0
    if isinstance(row, dict) and (unlisted := max(0, len(row) - len(SCHEMA.names) - _MAX_FAULTS)):
        known = {name: row[name] for name in SCHEMA.names if name in row}
        unlisted = len(row) - len(known) - _MAX_FAULTS
        row = known | dict(islice(((name, row[name]) for name in row if name not in known), _MAX_FAULTS))
    found = faults_of(SCHEMA, row)
    if isinstance(row, dict):
        found = [replace(f, got="two values") if row.get(f.field) is _TWICE else f for f in found]
    return [_fault(where, f.field, f.expected, f.got) for f in found], unlisted


def _fault(where: str, field: str, expected: str, got: str) -> Fault:
    "Return a fault whose field is named in text that can be sent: not too long, and without lone surrogates."
    field = field.encode(errors="replace").decode()
    if len(field) > _LONGEST_NAME:
        field = field[:_LONGEST_NAME] + "…"
    pointer = f"{where}/{field.replace('~', '~0').replace('/', '~1')}" if field else where  # RFC 6901
    expected = expected if len(expected) <= _LONGEST_EXPECTED else expected[:_LONGEST_EXPECTED] + "…"
    return Fault(pointer, field, expected, got.encode(errors="replace").decode())


def _invalid(errors: list[Fault], unlisted: int = 0) -> InvalidInput:
    "Return the error that names these faults: the first five in a sentence, a thousand one by one."
    first = "; ".join(f"{e.pointer or e.field or 'the body'}: expected {e.expected}, got {e.got}" for e in errors[:5])
    rest = len(errors) + unlisted - 5
    return InvalidInput(first + (f"; and {rest:,} more" if rest > 0 else ""), errors[:_MAX_FAULTS])


def _share(text: str) -> float:
    if not ALPHA[0] <= (alpha := float(text)) <= ALPHA[1]:
        raise ValueError
    return alpha


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"
