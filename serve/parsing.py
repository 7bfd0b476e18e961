"""From the bytes of a body to rows of numbers: a quick way for good bodies, a thorough one for the rest."""

import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs

import msgspec

from iris_nb.schema import faults_of, shown
from iris_nb.table import SCHEMA
from serve.errors import InvalidInput
from serve.schemas import BadRow, Batch, Fault, Row

Numbers = tuple[float, ...]
MOST_FAULTS = 1000
ALPHA = 0.001, 0.999  # error rates that a prediction set can be asked for
QUOTES = 2 * len(SCHEMA.names)  # in a row whose every name is there once
TWICE = object()  # stands for the value of a name that a body gives twice

row_decoder = msgspec.json.Decoder(Row)
batch_decoder = msgspec.json.Decoder(Batch)


def quick_row(body: bytes) -> Numbers | None:
    "One row; None where anything about it is odd, and `read_row` has to look closer."
    # msgspec takes the last of two values with one name. A row has no text in it, so its quotation marks
    # give a name that stands twice away.
    if body.count(b'"') == QUOTES:
        with suppress(msgspec.MsgspecError, RecursionError, ValueError):
            return msgspec.structs.astuple(row_decoder.decode(body))
    return None


def quick_batch(body: bytes, most: int) -> list[Numbers] | None:
    "The rows of a batch; None where anything about them is odd."
    with suppress(msgspec.MsgspecError, RecursionError, ValueError):
        samples = batch_decoder.decode(body).samples
        if len(samples) <= most and body.count(b'"') == 2 + QUOTES * len(samples):
            return [msgspec.structs.astuple(row) for row in samples]
    return None


def read_row(body: bytes) -> Numbers:
    "One row; raises InvalidInput with everything that is wrong with it."
    row = parsed(body)
    if errors := row_faults(row, ""):
        raise InvalidInput(summary(errors), errors)
    return tuple(float(row[name]) for name in SCHEMA.names)


def read_batch(body: bytes, most: int) -> list[Numbers]:
    "The rows of a batch; raises InvalidInput with everything that is wrong with them."
    rows, rejected = sorted_out(body, most)
    if rejected:
        raise all_faults(rejected)
    return rows


def read_partial(body: bytes, most: int) -> tuple[list[Numbers], list[BadRow]]:
    "The good rows of a batch, at least one, and what is wrong with the others."
    rows, rejected = sorted_out(body, most)
    if not rows:
        raise all_faults(rejected)
    return rows, rejected


def all_faults(rejected: list[BadRow]) -> InvalidInput:
    errors = [fault for bad in rejected for fault in bad.errors]
    return InvalidInput(summary(errors), errors[:MOST_FAULTS])


def sorted_out(body: bytes, most: int) -> tuple[list[Numbers], list[BadRow]]:
    samples = samples_of(parsed(body), most)
    rejected = [BadRow(i, errors) for i, row in enumerate(samples) if (errors := row_faults(row, f"/samples/{i}"))]
    bad = {row.index for row in rejected}
    good = [tuple(float(row[n]) for n in SCHEMA.names) for i, row in enumerate(samples) if i not in bad]
    return good, rejected


def samples_of(body: Any, most: int) -> list[Any]:
    "The list under the batch's only field."
    errors = []
    if not isinstance(body, dict):
        errors = [Fault("", "", "an object with the field samples", shown(body))]
    elif not isinstance(samples := body.get("samples"), list) or not 0 < len(samples) <= most:
        got = f"a list of {len(samples):,}" if isinstance(samples, list) else shown(samples)
        got = "two values" if samples is TWICE else got if "samples" in body else "nothing: the field is missing"
        errors = [Fault("/samples", "samples", f"a list of 1 to {most:,} rows", got)]
    if isinstance(body, dict):
        unknown = [name for name in body if name != "samples"]
        errors += [Fault(pointer("", name), name, "samples and nothing else", "an unknown field") for name in unknown]
    if errors:
        raise InvalidInput(summary(errors), errors)
    return list(body["samples"])


def row_faults(row: object, where: str) -> list[Fault]:
    "The schema's faults of one row, with pointers that begin at `where`."
    found = faults_of(SCHEMA, row)
    if isinstance(row, dict):
        found = [replace(f, got="two values") if row.get(f.field) is TWICE else f for f in found]
    return [Fault(pointer(where, f.field), f.field, f.expected, f.got) for f in found]


def pointer(where: str, field: str) -> str:
    "A JSON pointer (RFC 6901)."
    return f"{where}/{field.replace('~', '~0').replace('/', '~1')}" if field else where


def parsed(body: bytes) -> Any:
    "Any JSON, NaN and names that stand twice included; raises InvalidInput where it is none."
    try:
        return json.loads(body.decode(), object_pairs_hook=once)
    except RecursionError:
        got = "one that is nested too deeply"
    except UnicodeDecodeError as error:
        got = f"one that is not UTF-8 at byte {error.start}"
    except json.JSONDecodeError as error:
        got = f"one that ends too early or is not JSON at line {error.lineno}, column {error.colno}"
    except ValueError:
        got = "one with a number of thousands of digits"
    fault = Fault("", "", "a JSON body", got if body else "an empty body")
    raise InvalidInput(summary([fault]), [fault])


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    "An object's names and values, with TWICE for each name that stands there more than once."
    row = dict(pairs)
    if len(row) < len(pairs):
        row.update((name, TWICE) for name, times in Counter(name for name, _ in pairs).items() if times > 1)
    return row


def summary(errors: list[Fault]) -> str:
    "The faults as one line."
    first = "; ".join(f"{e.pointer or e.field or 'the body'}: expected {e.expected}, got {e.got}" for e in errors[:5])
    return first + (f"; and {len(errors) - 5:,} more" if len(errors) > 5 else "")


@dataclass(frozen=True)
class Wishes:
    "What a query asks of the answer."

    alpha: float | None = None
    partial: bool = False


NO_WISHES = Wishes()


def wishes_of(query: bytes) -> Wishes:
    "The wishes in a query; raises InvalidInput that names all it can't read."
    if not query:
        return NO_WISHES
    asked = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    readers = {"alpha": (share, f"a number from {ALPHA[0]} to {ALPHA[1]}"), "partial": (truth, "true or false")}
    found, errors = dict[str, Any](), list[Fault]()
    for name, (read, expected) in readers.items():
        for text in asked.get(name, []):
            try:
                found[name] = read(text)
            except ValueError:
                errors.append(Fault("", name, expected, shown(text)))
    if errors:
        raise InvalidInput(summary(errors), errors)
    return Wishes(**found)


def share(text: str) -> float:
    if not ALPHA[0] <= (alpha := float(text)) <= ALPHA[1]:
        raise ValueError
    return alpha


def truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"
