"""Tables as MLflow's scoring protocol has them, to rows of values: JSON in four forms, or CSV."""

import csv
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

from iris_nb.schema import Kind, Schema, Value, shown
from serve.parsing import MAX_FAULTS, TWICE, Row, fault_at, invalid, parse_json, rows_of, unknown_fields
from serve.protocols import ALPHA, FrameRequest
from serve.schemas import Fault

_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


class Frame(NamedTuple):
    "What a request asks: rows, and the error rate of the prediction sets."

    rows: list[Row]
    alpha: float | None = None
    where: str = ""  # JSON pointer to the rows

    def place(self, row: int) -> str:
        "Return the JSON pointer to a row."
        return f"{self.where}/{row}"


def read_json(schema: Schema, body: bytes, max_rows: int) -> Frame:
    "Return what a JSON body asks; raise InvalidInput that names everything that is wrong with it."
    asked = parse_json(body)
    if not isinstance(asked, dict):
        raise invalid([Fault("", "", f"an object with one of {', '.join(_FORMS)}", shown(asked))])
    faults, more = unknown_fields(asked, FrameRequest.__struct_fields__, f"one of {', '.join(_FORMS)}, and params")
    forms = [name for name in _FORMS if name in asked]
    if len(forms) != 1:
        faults.append(Fault("", "", f"one of {', '.join(_FORMS)}", ", ".join(forms) or "none of them"))
    alpha = _alpha(asked.get("params"), faults)
    if faults:
        raise invalid(faults, more)
    [form] = forms
    where, samples = _samples(schema, asked[form], form)
    _check_count(samples, f"/{form}", max_rows)
    return Frame(rows_of(schema, [_with_gaps(schema, row) for row in samples], where), alpha, where)


def _alpha(params: Any, faults: list[Fault]) -> float | None:
    "Return the error rate among the parameters of a request."
    if params is None:
        return None
    if not isinstance(params, dict):
        faults.append(fault_at("", "params", "an object", _got(params)))
        return None
    faults += [fault_at("/params", f.field, f.expected, f.got) for f in unknown_fields(params, ["alpha"], "alpha")[0]]
    alpha = params.get("alpha")
    is_number = isinstance(alpha, int | float) and not isinstance(alpha, bool)
    if alpha is not None and not (is_number and ALPHA[0] <= alpha <= ALPHA[1]):
        faults.append(fault_at("/params", "alpha", f"a number from {ALPHA[0]} to {ALPHA[1]}", _got(alpha)))
        return None
    return alpha


def _samples(schema: Schema, found: Any, form: str) -> tuple[str, list[Any]]:
    "Return where the rows of a table stand, and the rows by name, unchecked; raise InvalidInput where it is no table."
    if form == "dataframe_split":
        return "/dataframe_split/data", _from_split(schema, found)
    if form == "inputs" and isinstance(found, dict):
        return "/inputs", _from_columns(schema, found)
    if not isinstance(found, list):
        raise invalid([fault_at("", form, "a list of rows", _got(found))])
    if form == "dataframe_records":
        return f"/{form}", found
    return f"/{form}", _named(schema.names, found, f"/{form}")


def _from_split(schema: Schema, found: Any) -> list[Any]:
    "Return the rows of pandas' form `split` by name."
    if not isinstance(found, dict):
        raise invalid([fault_at("", "dataframe_split", "an object with columns and data", _got(found))])
    where = "/dataframe_split"
    unknown, more = unknown_fields(found, ("columns", "data", "index"), "columns, data and index")
    faults = [fault_at(where, f.field, f.expected, f.got) for f in unknown]
    columns, data, index = found.get("columns", list(schema.names)), found.get("data"), found.get("index")
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        faults.append(fault_at(where, "columns", "a list of names", _got(columns)))
    if not isinstance(data, list):
        faults.append(fault_at(where, "data", "a list of rows", _got(data)))
    elif index is not None and (not isinstance(index, list) or len(index) != len(data)):
        faults.append(fault_at(where, "index", f"a list of {len(data):,}", _got(index)))
    if faults:
        raise invalid(faults, more)
    _check_columns(schema, columns, f"{where}/columns")
    return _named(columns, data or [], f"{where}/data")


def _from_columns(schema: Schema, found: dict[str, Any]) -> list[Any]:
    "Return columns as rows by name."
    _check_columns(schema, list(found), "/inputs")
    odd = [name for name, column in found.items() if not isinstance(column, list)]
    lengths = {len(column) for column in found.values() if isinstance(column, list)}
    if odd or len(lengths) > 1:
        got = f"lists of {', '.join(f'{length:,}' for length in sorted(lengths))}" if not odd else _got(found[odd[0]])
        raise invalid([fault_at("/inputs" if odd else "", (odd or ["inputs"])[0], "lists of one length", got)])
    return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]


def _check_columns(schema: Schema, columns: list[str], where: str) -> None:
    "Raise InvalidInput where columns are unknown, missing or there twice."
    known = ", ".join(schema.names)
    unknown = [name for name in columns if name not in schema.names]
    faults = [fault_at(where, name, f"one of {known}", "an unknown column") for name in unknown]
    for f in schema.features:
        if f.name not in columns and not f.missing:
            faults.append(fault_at(where, f.name, f.expected, "nothing: the column is missing"))
        elif columns.count(f.name) > 1:
            faults.append(fault_at(where, f.name, "one column of that name", f"{columns.count(f.name)}"))
    if faults:
        raise invalid(faults[:MAX_FAULTS], len(faults[MAX_FAULTS:]))


def _named(columns: Sequence[str], rows: list[Any], where: str) -> list[Any]:
    "Return rows by name, those that are no lists as they are; raise InvalidInput where one has more or fewer values."
    expected = f"{len(columns)} values: {', '.join(columns)}"[:300]
    odd = [i for i, row in enumerate(rows) if isinstance(row, list) and len(row) != len(columns)]
    if odd:
        faults = [Fault(f"{where}/{i}", "", expected, f"{len(rows[i]):,} values") for i in odd[:MAX_FAULTS]]
        raise invalid(faults, len(odd) - len(faults))
    return [dict(zip(columns, row, strict=True)) if isinstance(row, list) else row for row in rows]


def _with_gaps(schema: Schema, row: Any) -> Any:
    "Return a row with null for NaN where a feature may be missing: pandas has no other word for a gap in numbers."
    if not isinstance(row, dict):
        return row
    gaps = [f.name for f in schema.features if f.missing and (value := row.get(f.name)) is not None and value != value]
    return row | dict.fromkeys(gaps) if gaps else row


def _check_count(samples: list[Any], where: str, max_rows: int) -> None:
    if not 0 < len(samples) <= max_rows:
        raise invalid([Fault(where, where[1:], f"a list of 1 to {max_rows:,} rows", f"{len(samples):,} rows")])


def read_csv(schema: Schema, body: bytes, max_rows: int) -> Frame:
    "Return the rows of a CSV body whose first line names the columns; raise InvalidInput with what is wrong with it."
    try:
        table = [row for row in csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")) if row]
    except UnicodeDecodeError as error:
        raise invalid([Fault("", "", "CSV in UTF-8", f"no UTF-8 at byte {error.start}")]) from None
    except csv.Error as error:
        raise invalid([Fault("", "", "CSV", str(error))]) from None
    if not table:
        raise invalid([Fault("", "", "CSV whose first line names the columns", "an empty body")])
    by_source = {f.source: f.name for f in schema.features}
    columns = [name if name in schema.names else by_source.get(name, name) for name in table[0]]
    _check_columns(schema, columns, "")
    _check_count(table[1:], "", max_rows)
    kinds = {f.name: f for f in schema.features}
    samples = [{name: _cell(kinds[name], text) for name, text in row.items()} for row in _named(columns, table[1:], "")]
    return Frame(rows_of(schema, samples, ""))


def _cell(kind: Kind, text: str) -> Value:
    "Return the value of a cell; a text that is none of the kind stays text, and is found to be so."
    try:
        return kind.parse(text)
    except ValueError:
        return text


def _got(value: object) -> str:
    return "two values" if value is TWICE else shown(value)
