"""From the bytes of a body to rows of values: a fast parser for good bodies, a thorough one for the rest."""

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec
from msgspec import UNSET

from iris_nb.schema import Kind, Schema, Value, faults_of, shown
from serve.errors import InvalidInput
from serve.protocols import ALPHA
from serve.schemas import BadRow, Fault, LabelRequest, batch_type, row_type

Row = tuple[Value, ...]  # of one row, in the order of the features; None for a gap
MAX_FAULTS = 1000  # in one answer: a small body can hold a great many
_LONGEST_NAME = 80  # characters of an unknown name that an answer repeats
_LONGEST_EXPECTED = 300  # characters of what was expected, which may list every name of a wide table
TWICE = object()  # stands for the value of a name that a body gives twice

_DAYS = 4096  # and short texts, whose check is remembered: the same ones come again
_ODD = (msgspec.MsgspecError, RecursionError, ValueError)
_astuple = msgspec.structs.astuple


class BodyParser:
    """Reads bodies with rows of one schema.

    Where a fast parser answers, the thorough one gives the same rows; where it answers None, the thorough one decides.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        row = row_type(schema)
        self._decode_row = msgspec.json.Decoder(row).decode
        self._decode_batch = msgspec.json.Decoder(batch_type(row)).decode
        self._quotes = 2 * len(schema.names)  # in a row of numbers whose every name is there once
        self._mixed = None if schema.is_plain else _MixedRows(schema)

    # msgspec silently keeps the last of two values with the same name. A name and a text have two quotation marks
    # each, so counting the marks reveals a name that stands twice; one inside a text makes the count too high as well.
    def row_fast(self, body: bytes) -> Row | None:
        "Return one row, or None where anything about it is odd and `row` has to look closer."
        if self._mixed or body.count(b'"') == self._quotes:
            with suppress(*_ODD):
                values = _astuple(self._decode_row(body))
                if not self._mixed:
                    return values
                values, texts = self._mixed.complete(values)
                return values if body.count(b'"') == 2 * texts else None
        return None

    def batch_fast(self, body: bytes, max_rows: int) -> list[Row] | None:
        "Return the rows of a batch, or None where anything about them is odd."
        with suppress(*_ODD):
            samples: Any = self._decode_batch(body).samples  # type: ignore[attr-defined]
            if len(samples) > max_rows:
                return None
            if not self._mixed:
                good = body.count(b'"') == 2 + self._quotes * len(samples)
                return [_astuple(row) for row in samples] if good else None
            found = [self._mixed.complete(_astuple(row)) for row in samples]
            if body.count(b'"') == 2 + 2 * sum(texts for _, texts in found):
                return [values for values, _ in found]
        return None

    def row(self, body: bytes) -> Row:
        "Return one row; raise InvalidInput with what is wrong with it."
        row = parse_json(body)
        errors, more = _row_faults(self.schema, row, "")
        if errors:
            raise invalid(errors, more)
        return _values(self.schema, row)

    def batch(self, body: bytes, max_rows: int) -> list[Row]:
        "Return the rows of a batch; raise InvalidInput with what is wrong with them."
        return rows_of(self.schema, _samples_of(parse_json(body), max_rows), "/samples")

    def partial(self, body: bytes, max_rows: int) -> tuple[list[Row], list[BadRow]]:
        "Return the good rows of a batch, at least one, and what is wrong with the others; raise InvalidInput."
        samples = _samples_of(parse_json(body), max_rows)
        rows, rejected, more = _split_valid(self.schema, samples, "/samples")
        if not rows:
            raise invalid([fault for bad in rejected for fault in bad.errors], more)
        return rows, rejected


class _MixedRows:
    "What msgspec's struct leaves open where not every feature is a number that must be there."

    def __init__(self, schema: Schema) -> None:
        self._texts = [i for i, f in enumerate(schema.features) if f.is_text]
        # msgspec knows the values of a closed list; a day of the calendar, or a new name, it does not.
        still_open = [(i, schema.features[i]) for i in self._texts if not _is_closed(schema.features[i])]
        self._open = [(i, lru_cache(_DAYS)(kind.accepts)) for i, kind in still_open]

    def complete(self, found: tuple[Any, ...]) -> tuple[Row, int]:
        "Return a row with None for what was left out, and how many names and texts its JSON has; or raise ValueError."
        texts = len(found)
        if left_out := found.count(UNSET):
            found = tuple([None if value is UNSET else value for value in found])
            texts -= left_out
        for i in self._texts:
            texts += found[i] is not None
        for i, accepts in self._open:
            if not accepts(found[i]):
                raise ValueError
        return found, texts


def rows_of(schema: Schema, samples: list[Any], where: str) -> list[Row]:
    "Return samples as rows; raise InvalidInput with what is wrong with them, with pointers that begin at `where`."
    rows, rejected, more = _split_valid(schema, samples, where)
    if rejected:
        raise invalid([fault for bad in rejected for fault in bad.errors], more)
    return rows


def _split_valid(schema: Schema, samples: list[Any], where: str) -> tuple[list[Row], list[BadRow], int]:
    "Return good rows, bad rows with at most MAX_FAULTS faults in all, and how many more there are."
    good: list[Row] = []
    rejected: list[BadRow] = []
    room, unlisted = MAX_FAULTS, 0
    for i, row in enumerate(samples):
        faults, more = _row_faults(schema, row, f"{where}/{i}")
        if faults:
            rejected.append(BadRow(i, faults[:room]))  # later bad rows stand there with their index alone
            unlisted += more + max(0, len(faults) - room)
            room = max(0, room - len(faults))
        else:
            good.append(_values(schema, row))
    return good, rejected, unlisted


def _values(schema: Schema, row: dict[str, Any]) -> Row:
    "Return a row without faults in the order of the features; a number is a float, however it was written."
    found = map(row.get, schema.names)
    return tuple(float(value) if type(value) is int else value for value in found)


def _is_closed(kind: Kind) -> bool:
    "Return whether msgspec refuses what is none of the values."
    return "enum" in msgspec.json.schema(kind.wire_type)


def parse_label(schema: Schema, body: bytes) -> LabelRequest:
    "Return what a row really was; raise InvalidInput with what is wrong with the body."
    asked = parse_json(body)
    if not isinstance(asked, dict):
        raise invalid([Fault("", "", "an object with the field label", shown(asked))])
    label, correct = asked.get("label"), asked.get("correct", False)
    errors = []
    if not isinstance(label, str) or label not in schema.classes:
        errors.append(_wrong_value(asked, "label", f"one of {', '.join(schema.classes)}"))
    if not isinstance(correct, bool):
        errors.append(_wrong_value(asked, "correct", "true or false"))
    unknown, more = unknown_fields(asked, LabelRequest.__struct_fields__, "label, correct and nothing else")
    if errors or unknown:
        raise invalid(errors + unknown, more)
    return LabelRequest(str(label), correct is True)


def _wrong_value(body: dict[str, Any], name: str, expected: str) -> Fault:
    got = "nothing: the field is missing" if name not in body else shown(body[name])
    return fault_at("", name, expected, "two values" if body.get(name) is TWICE else got)


class Options(NamedTuple):
    "What a query asks of the answer."

    alpha: float | None = None
    partial: bool = False
    looked_up: bool = False


NO_OPTIONS = Options()


def parse_options(query: bytes) -> Options:
    "Return the options in a query; raise InvalidInput that names all it can't read."
    if not query:
        return NO_OPTIONS
    asked = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    flag = (_boolean, "true or false")
    alpha = (_share, f"a number from {ALPHA[0]} to {ALPHA[1]}")
    readers = {"alpha": alpha, "partial": flag, "looked_up": flag}
    found, errors = dict[str, Any](), list[Fault]()
    for name, (read, expected) in readers.items():
        for text in asked.get(name, []):
            try:
                found[name] = read(text)
            except ValueError:
                errors.append(Fault("", name, expected, shown(text)))
    if errors:
        raise invalid(errors[:MAX_FAULTS], len(errors[MAX_FAULTS:]))
    return Options(**found)


def _mark_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    "Return an object's names and values, with a mark for each name that stands there more than once."
    row = dict(pairs)
    if len(row) < len(pairs):
        row.update((name, TWICE) for name, times in Counter(name for name, _ in pairs).items() if times > 1)
    return row


def parse_json(body: bytes) -> Any:
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
    raise invalid([Fault("", "", "a JSON body", got if body else "an empty body")])


def _samples_of(body: Any, max_rows: int) -> list[Any]:
    "Return the list under the batch's only field."
    if not isinstance(body, dict):
        raise invalid([Fault("", "", "an object with the field samples", shown(body))])
    errors, samples = [], body.get("samples")
    if not isinstance(samples, list) or not 0 < len(samples) <= max_rows:
        got = f"a list of {len(samples):,}" if isinstance(samples, list) else shown(samples)
        got = "two values" if samples is TWICE else got if "samples" in body else "nothing: the field is missing"
        errors = [Fault("/samples", "samples", f"a list of 1 to {max_rows:,} rows", got)]
    unknown, more = unknown_fields(body, ("samples",), "samples and nothing else")
    if errors or unknown:
        raise invalid(errors + unknown, more)
    return list(body["samples"])


def unknown_fields(body: dict[str, Any], known: Iterable[str], expected: str) -> tuple[list[Fault], int]:
    "Return a fault for each unknown name, and how many are not listed."
    unknown = body.keys() - set(known)
    listed = islice((name for name in body if name in unknown), MAX_FAULTS)
    faults = [fault_at("", name, expected, "an unknown field") for name in listed]
    return faults, len(unknown) - len(faults)


def _row_faults(schema: Schema, row: Any, where: str) -> tuple[list[Fault], int]:
    "Return the schema's faults of one row, with pointers that begin at `where`, and how many are not listed."
    unlisted = 0
    if isinstance(row, dict) and (unlisted := max(0, len(row) - len(schema.names) - MAX_FAULTS)):
        known = {name: row[name] for name in schema.names if name in row}
        unlisted = len(row) - len(known) - MAX_FAULTS
        row = known | dict(islice(((name, row[name]) for name in row if name not in known), MAX_FAULTS))
    found = faults_of(schema, row)
    if isinstance(row, dict):
        found = [replace(f, got="two values") if row.get(f.field) is TWICE else f for f in found]
    return [fault_at(where, f.field, f.expected, f.got) for f in found], unlisted


def fault_at(where: str, field: str, expected: str, got: str) -> Fault:
    "Return a fault whose field is named in text that can be sent: not too long, and without lone surrogates."
    field = field.encode(errors="replace").decode()
    if len(field) > _LONGEST_NAME:
        field = field[:_LONGEST_NAME] + "…"
    pointer = f"{where}/{field.replace('~', '~0').replace('/', '~1')}" if field else where  # RFC 6901
    expected = expected if len(expected) <= _LONGEST_EXPECTED else expected[:_LONGEST_EXPECTED] + "…"
    return Fault(pointer, field, expected, got.encode(errors="replace").decode())


def invalid(errors: list[Fault], unlisted: int = 0) -> InvalidInput:
    "Return the error that names these faults: the first five in a sentence, a thousand one by one."
    first = "; ".join(map(str, errors[:5]))
    rest = len(errors) + unlisted - 5
    return InvalidInput(first + (f"; and {rest:,} more" if rest > 0 else ""), errors[:MAX_FAULTS])


def _share(text: str) -> float:
    if not ALPHA[0] <= (alpha := float(text)) <= ALPHA[1]:
        raise ValueError
    return alpha


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"
