"""Tensors of the Open Inference Protocol, to rows of values and back.

A client sends one tensor for each feature, or one matrix where every feature is a plain number. What `inputs_of`
publishes is what `read` takes: another name, datatype or shape is a fault, and all faults are named at once.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from msgspec import UNSET

from iris_nb.schema import Kind, Schema, Value, fault_of, shown
from serve.parsing import MAX_FAULTS, TWICE, Row, fault_at, invalid, parse_json, unknown_fields
from serve.protocols import SAFE_ID, InferAnswer, InferRequest, OutputTensor, Parameters, TensorMetadata
from serve.schemas import Answer, Fault

MATRIX = "X"
_DTYPES = {"FP64": "<f8", "INT64": "<i8", "BOOL": "u1"}
_TENSOR_FIELDS = ("name", "shape", "datatype", "parameters", "data")
_Column: TypeAlias = Sequence[Any] | np.ndarray


class Wanted(NamedTuple):
    "A tensor that the answer is to hold, and whether as raw bytes."

    name: str
    binary: bool


class Ask(NamedTuple):
    "What a request asks: rows, its id, and the tensors of the answer."

    rows: list[Row]
    id: str
    outputs: list[Wanted]


def datatype_of(kind: Kind) -> str:
    "Return the datatype of a feature's tensor. INT64 and BOOL have no value for a gap; FP64 has NaN."
    if kind.is_text:
        return "BYTES"
    if kind.levels:
        return "BOOL"
    return "INT64" if kind.is_whole and not kind.missing else "FP64"


def inputs_of(schema: Schema) -> list[TensorMetadata]:
    "Return the tensors that a request holds, one for each feature."
    return [TensorMetadata(f.name, datatype_of(f), [-1]) for f in schema.features]


def matrix_of(schema: Schema) -> TensorMetadata | None:
    "Return the one tensor that may stand for all; None where not every feature is a plain number."
    taken = MATRIX in schema.names
    return TensorMetadata(MATRIX, "FP64", [-1, len(schema.names)]) if schema.is_plain and not taken else None


def outputs_of(schema: Schema) -> list[TensorMetadata]:
    "Return the tensors of an answer."
    found = [
        TensorMetadata("label", "BYTES", [-1]),
        TensorMetadata("probabilities", "FP64", [-1, len(schema.classes)]),
        TensorMetadata("prediction_id", "BYTES", [-1]),
    ]
    return found + ([TensorMetadata("decision", "BYTES", [-1])] if schema.costs else [])


def example_of(schema: Schema) -> dict[str, Any]:
    "Return a request about the schema's example, for the documentation."
    tensors = [{"name": f.name, "shape": [1], "datatype": datatype_of(f), "data": [f.example]} for f in schema.features]
    return {"id": "example-1", "inputs": tensors}


def read(schema: Schema, body: bytes, max_rows: int, json_size: str | None = None) -> Ask:
    """Return what a body asks; raise InvalidInput that names everything that is wrong with it.

    Raw bytes of tensors may follow the JSON, whose size a header says.
    """
    head, raw = _split(body, json_size)
    asked = parse_json(head)
    if not isinstance(asked, dict):
        raise invalid([Fault("", "", "an object with the field inputs", shown(asked))])
    faults, more = unknown_fields(asked, InferRequest.__struct_fields__, "a field of the protocol")
    request_id, outputs = _read_id(asked, faults), _read_outputs(schema, asked, faults)
    tensors = _read_heads(schema, asked, raw, max_rows, faults)
    columns = {} if faults else _read_columns(schema, tensors, faults)
    if faults:
        raise invalid(faults[:MAX_FAULTS], more + max(0, len(faults) - MAX_FAULTS))
    count = next(iter(tensors.values())).rows
    gaps = [None] * count
    return Ask(list(zip(*(columns.get(name, gaps) for name in schema.names), strict=True)), request_id, outputs)


def _split(body: bytes, json_size: str | None) -> tuple[bytes, bytes]:
    "Return the JSON of a body, and the raw bytes that follow it."
    if json_size is None:
        return body, b""
    if not re.fullmatch("[0-9]{1,12}", json_size) or int(json_size) > len(body):
        expected = f"the size of the JSON, at most {len(body):,} bytes"
        raise invalid([Fault("", "Inference-Header-Content-Length", expected, shown(json_size))])
    return body[: int(json_size)], body[int(json_size) :]


def _read_id(asked: dict[str, Any], faults: list[Fault]) -> str:
    "Return the id of a request, empty where it has none."
    found = asked.get("id") or ""
    if found and not (isinstance(found, str) and re.fullmatch(SAFE_ID, found)):
        faults.append(fault_at("", "id", "up to 128 letters, digits and . : / + = @ _ -", _got(found)))
    return found


def _read_outputs(schema: Schema, asked: dict[str, Any], faults: list[Fault]) -> list[Wanted]:
    "Return the tensors that the answer is to hold: those that are named, or all."
    names = [tensor.name for tensor in outputs_of(schema)]
    usual = _flag(asked, "binary_data_output", "/parameters", faults)
    listed = asked.get("outputs") or [{"name": name} for name in names]
    if not isinstance(listed, list):
        faults.append(fault_at("", "outputs", "a list of tensors", _got(listed)))
        return []
    wanted = list[Wanted]()
    for i, output in enumerate(listed[:MAX_FAULTS]):
        name = output.get("name") if isinstance(output, dict) else output
        if not isinstance(name, str) or name not in names:
            faults.append(fault_at(f"/outputs/{i}", "name", f"one of {', '.join(names)}", _got(name)))
        elif name in (already.name for already in wanted):
            faults.append(fault_at(f"/outputs/{i}", "name", "each output once", _got(name)))
        else:
            wanted.append(Wanted(name, _flag(output, "binary_data", f"/outputs/{i}/parameters", faults, usual)))
    return wanted


def _flag(holder: dict[str, Any], name: str, where: str, faults: list[Fault], usual: bool = False) -> bool:
    "Return a parameter that is true or false."
    parameters = holder.get("parameters") or {}
    if not isinstance(parameters, dict):
        faults.append(fault_at(where.removesuffix("/parameters"), "parameters", "an object", _got(parameters)))
        return usual
    found = parameters.get(name, usual)
    if not isinstance(found, bool):
        faults.append(fault_at(where, name, "true or false", _got(found)))
    return found is True


class _Tensor(NamedTuple):
    "A tensor whose name, datatype and shape are right, with its values as they were sent."

    where: str  # JSON pointer
    data: Any  # as JSON has them, or raw bytes
    datatype: str
    rows: int
    width: int  # values in a row


def _read_heads(
    schema: Schema, asked: dict[str, Any], raw: bytes, max_rows: int, faults: list[Fault]
) -> dict[str, _Tensor]:
    "Return the tensors of a request by name, checked against what is published but for their values."
    listed, found = asked.get("inputs"), dict[str, _Tensor]()
    if not isinstance(listed, list) or not listed:
        got = "nothing: the field is missing" if "inputs" not in asked else _got(listed)
        faults.append(fault_at("", "inputs", "a list of tensors", got))
        return found
    known, parts = _published(schema, listed), _raw_parts(listed, raw, faults)
    for i, tensor in enumerate(listed[:MAX_FAULTS]):
        where = f"/inputs/{i}"
        if not isinstance(tensor, dict):
            faults.append(fault_at(where, "", "an object with name, shape, datatype and data", _got(tensor)))
            continue
        name = tensor.get("name")
        if not isinstance(name, str) or name not in known:
            faults.append(fault_at(where, "name", f"one of {', '.join(known)}", _got(name)))
        elif name in found:
            faults.append(fault_at(where, "name", "each tensor once", _got(name)))
        elif (head := _read_head(tensor, known[name], parts[i], where, faults)) is not None:
            found[name] = head
    _check_names(schema, listed, known, faults)
    _check_rows(found, max_rows, faults)
    return found


def _raw_parts(listed: list[Any], raw: bytes, faults: list[Fault]) -> list[bytes | None]:
    "Return for each tensor its part of the raw bytes; None where its values stand in the JSON."
    parts = list[bytes | None]()
    at = 0
    for i, tensor in enumerate(listed):
        parameters = tensor.get("parameters") if isinstance(tensor, dict) else None
        if not isinstance(parameters, dict | None):
            faults.append(fault_at(f"/inputs/{i}", "parameters", "an object", _got(parameters)))
        size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
        if size is not None and (type(size) is not int or size < 0):
            expected = "a whole number of bytes"
            faults.append(fault_at(f"/inputs/{i}/parameters", "binary_data_size", expected, _got(size)))
            size = 0
        parts.append(None if size is None else raw[at : at + size])
        at += size or 0
    if at != len(raw):
        faults.append(Fault("", "", f"{at:,} bytes of binary tensors after the JSON", f"{len(raw):,}"))
    return parts


def _published(schema: Schema, listed: list[Any]) -> dict[str, TensorMetadata]:
    "Return what the tensors of this request have to be, by name."
    matrix = matrix_of(schema)
    if matrix and any(isinstance(tensor, dict) and tensor.get("name") == MATRIX for tensor in listed):
        return {MATRIX: matrix}
    return {tensor.name: tensor for tensor in inputs_of(schema)}


def _check_names(schema: Schema, listed: list[Any], known: dict[str, TensorMetadata], faults: list[Fault]) -> None:
    "Find features without a tensor; one that may be missing may be left out."
    names = [tensor.get("name") for tensor in listed if isinstance(tensor, dict)]
    may_miss = {f.name for f in schema.features if f.missing}
    for name, tensor in known.items():
        if name not in names and name not in may_miss:
            faults.append(fault_at("/inputs", name, f"a tensor {tensor.datatype}", "nothing: the tensor is missing"))


def _read_head(
    tensor: dict[str, Any], known: TensorMetadata, raw: bytes | None, where: str, faults: list[Fault]
) -> _Tensor | None:
    "Return a tensor that is what is published; None where it is not."
    before = len(faults)
    unknown, _ = unknown_fields(tensor, _TENSOR_FIELDS, f"one of {', '.join(_TENSOR_FIELDS)}")
    faults += [fault_at(where, fault.field, fault.expected, fault.got) for fault in unknown]
    if (datatype := tensor.get("datatype")) != known.datatype:
        faults.append(fault_at(where, "datatype", f"{known.datatype} for {known.name}", _got(datatype)))
    shape, width = tensor.get("shape"), known.shape[1] if len(known.shape) > 1 else 1
    if not _fits(shape, known.shape):
        expected = f"[rows, {width}]" if len(known.shape) > 1 else "[rows] or [rows, 1]"
        faults.append(fault_at(where, "shape", f"{expected} for {known.name}", _got(shape)))
    if ("data" in tensor) == (raw is not None):
        got = "nothing: the field is missing" if raw is None else "both"
        faults.append(fault_at(where, "data", "a list of values, or binary_data_size and raw bytes", got))
    if len(faults) > before:
        return None
    return _Tensor(where, tensor.get("data", raw), known.datatype, shape[0], width)  # type: ignore[index]


def _fits(shape: Any, known: list[int]) -> bool:
    "Return whether a shape is the one that is published; a column may be written as a matrix of one column."
    if not isinstance(shape, list) or any(type(size) is not int for size in shape):
        return False
    return shape[1:] in ([known[1:]] if len(known) > 1 else [[], [1]]) and len(shape) > 0 and shape[0] > 0


def _check_rows(found: dict[str, _Tensor], max_rows: int, faults: list[Fault]) -> None:
    "Find tensors that have another number of rows than most, or too many."
    if not found:
        return
    [(usual, _)] = Counter(tensor.rows for tensor in found.values()).most_common(1)
    for tensor in found.values():
        if tensor.rows > max_rows:
            faults.append(fault_at(tensor.where, "shape", f"1 to {max_rows:,} rows", f"{tensor.rows:,}"))
        elif tensor.rows != usual:
            faults.append(fault_at(tensor.where, "shape", f"{usual:,} rows, as the others", f"{tensor.rows:,}"))


def _read_columns(schema: Schema, tensors: dict[str, _Tensor], faults: list[Fault]) -> dict[str, list[Value]]:
    "Return the values of each feature that has a tensor."
    columns = {}
    for name, tensor in tensors.items():
        data = _unpack(tensor) if isinstance(tensor.data, bytes) else _flat(tensor)
        if len(data) != tensor.rows * tensor.width:
            expected = f"{tensor.rows * tensor.width:,} values, as its shape says"
            faults.append(fault_at(tensor.where, "data", expected, f"{len(data):,}"))
            continue
        kinds = [f for f in schema.features if f.name == name] or schema.features  # of the matrix: all
        for j, kind in enumerate(kinds):
            column = data[j :: tensor.width] if tensor.width > 1 else data
            columns[kind.name] = _read_column(kind, column, tensor, j, faults)
    return columns


def _unpack(tensor: _Tensor) -> _Column:
    "Return the values in raw bytes: little-endian, or each text with its size before it."
    raw = tensor.data
    if tensor.datatype == "BYTES":
        return _texts(raw)
    dtype = np.dtype(_DTYPES[tensor.datatype])
    if len(raw) % dtype.itemsize:
        return []
    values = np.frombuffer(raw, dtype)
    # What is neither 0 nor 1 stays a number, and so is found to be neither yes nor no.
    return [value if value > 1 else value == 1 for value in values.tolist()] if tensor.datatype == "BOOL" else values


def _texts(raw: bytes) -> list[Any]:
    "Return the texts in raw bytes; what is no UTF-8 stays bytes, which are no value of any feature."
    found, at = list[Any](), 0
    while at + 4 <= len(raw):
        end = at + 4 + int.from_bytes(raw[at : at + 4], "little")
        if end > len(raw):
            break
        try:
            found.append(raw[at + 4 : end].decode())
        except UnicodeDecodeError:
            found.append(raw[at + 4 : end])
        at = end
    return found if at == len(raw) else []


def _flat(tensor: _Tensor) -> _Column:
    "Return the values of a tensor one after the other; a list in a list is a row."
    data = tensor.data
    if not isinstance(data, list):
        return []
    if data and all(isinstance(row, list) and len(row) == tensor.width for row in data):
        return list(chain.from_iterable(data))
    return data


def _read_column(kind: Kind, data: _Column, tensor: _Tensor, offset: int, faults: list[Fault]) -> list[Value]:
    "Return the values of one feature, None for a gap; note what is none of its values."
    if (numbers := _as_numbers(kind, data)) is not None:
        low, high = kind.bounds
        good = (numbers >= low) & (numbers <= high)
        if kind.is_whole:
            good &= numbers == np.floor(numbers)
        values: list[Any] = numbers.astype(np.float64).tolist()
        if good.all():
            return values
        suspects: Iterable[int] = np.flatnonzero(~good).tolist()
    else:
        values = list(data)
        suspects = [i for i, value in enumerate(values) if not kind.accepts(value)]
    is_raw = isinstance(data, np.ndarray)
    for i in suspects:
        value = values[i]
        if kind.missing and (
            (is_raw and value != value) or (kind.is_text and value == "")
        ):  # a number that is none, or no text
            values[i] = None
        elif (fault := fault_of(kind, value)) and len(faults) <= MAX_FAULTS:
            at = f"{tensor.where}/data/{i * tensor.width + offset}"
            faults.append(Fault(at, kind.name, fault.expected, "two values" if value is TWICE else fault.got))
    return values


def _as_numbers(kind: Kind, data: _Column) -> np.ndarray | None:
    "Return the values of a number as an array; None where they have to be looked at one by one."
    if isinstance(data, np.ndarray):
        return data
    if kind.is_text or kind.levels or not set(map(type, data)) <= {float, int}:
        return None
    try:
        return np.array(data, dtype=np.float64)
    except OverflowError:  # a whole number beyond all doubles
        return None


def _got(value: object) -> str:
    return "two values" if value is TWICE else shown(value)


def answer_of(
    schema: Schema, name: str, request_id: str, answer: Answer, wanted: list[Wanted]
) -> tuple[InferAnswer, bytes]:
    "Return an answer as the tensors that were asked for, and the raw bytes of those that were asked for as such."
    data: dict[str, list[Any]] = {
        "label": answer.predictions,
        "probabilities": list(chain.from_iterable(answer.probabilities)),
        "prediction_id": answer.prediction_ids,
        "decision": [] if answer.decisions is UNSET else answer.decisions,
    }
    known = {tensor.name: tensor for tensor in outputs_of(schema)}
    tensors, parts = list[OutputTensor](), list[bytes]()
    for out, binary in wanted:
        shape, datatype = [len(answer.predictions), *known[out].shape[1:]], known[out].datatype
        if binary:
            parts.append(_pack(datatype, data[out]))
            tensors.append(OutputTensor(out, shape, datatype, {"binary_data_size": len(parts[-1])}))
        else:
            tensors.append(OutputTensor(out, shape, datatype, data=data[out]))
    about: Parameters = {"model": answer.model_name, "timestamp": answer.timestamp}
    return InferAnswer(name, answer.model_version, request_id, about, tensors), b"".join(parts)


def _pack(datatype: str, values: list[Any]) -> bytes:
    "Return values as raw bytes: little-endian, or each text with its size before it."
    if datatype != "BYTES":
        return np.array(values, dtype=_DTYPES[datatype]).tobytes()
    texts = [value.encode() for value in values]
    return b"".join(part for text in texts for part in (len(text).to_bytes(4, "little"), text))
