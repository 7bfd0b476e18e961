"""What goes over the wire: structs made from the schema, so that its names and bounds are spelt nowhere here."""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, defstruct, structs
from msgspec.json import schema_components

from iris_nb.audit.history import spreadsheet_text
from iris_nb.request import request_schema
from iris_nb.schema import Kind, Schema
from serve.protocols import STRUCTS

#: A row that is called like one of these is documented as BatchRow, HealthRow …
_OWN_STRUCTS = {"Batch", "Fault", "BadRow", "Answer", "Problem", "Health", "Alive", "Root", "LoggedPrediction", "Page"}
_OWN_STRUCTS |= {struct.__name__ for struct in STRUCTS}
_OWN_STRUCTS |= {"LookedUp", "Features", "LabelRequest", "Row", "Label", "Probabilities", "Feature", "Card", "Schema"}


_COMPONENT = "#/components/schemas/{name}"


def row_type(schema: Schema, name: str = "") -> type[Struct]:
    "Return the struct of one row, by default called as it is; what may be missing may be null or left out."
    about, usual = f"One {schema.row} to classify.", schema.row.title().replace(" ", "")
    return defstruct(
        name or (f"{usual}Row" if usual in _OWN_STRUCTS else usual),
        [
            (f.name, f.wire_type | None | UnsetType, UNSET) if f.missing else (f.name, f.wire_type)
            for f in schema.features
        ],
        namespace={"__doc__": about},
        forbid_unknown_fields=True,
        frozen=True,
        gc=False,
        kw_only=True,  # keeps the order of the fields, whichever of them may be missing
    )


def batch_type(row: type[Struct]) -> type[Struct]:
    "Return the struct of rows that are answered together, as `samples`."
    samples = Annotated[list[row], Meta(min_length=1)]  # type: ignore[valid-type]
    about = {"__doc__": "Rows that are answered together."}
    return defstruct("Batch", [("samples", samples)], namespace=about, forbid_unknown_fields=True, frozen=True)


def _part(name: str) -> Meta:
    "Return the mark of what depends on the schema; `components` documents it."
    return Meta(extra_json_schema={"x-part": name})


Label = Annotated[str, _part("label")]  # the name of a class
Probabilities = Annotated[list[float], _part("probabilities")]
Features = Annotated[dict[str, Any], _part("row")]  # values by feature name


class Fault(Struct, frozen=True):
    "One thing that is wrong with a request."

    pointer: Annotated[str, Meta(description="JSON pointer (RFC 6901) to the field.", examples=["/samples/3/x"])]
    field: Annotated[str, Meta(description="Name of the field; empty for the row or body as a whole.")]
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.pointer or self.field or 'the body'}: expected {self.expected}, got {self.got}"


class BadRow(Struct, frozen=True):
    "A row of a batch that got no answer."

    index: int
    errors: list[Fault]


class LookedUp(Struct, frozen=True):
    "A value that was looked up."

    value: Annotated[float | bool | str | None, Meta(description="As the model saw it; null for a gap.")]
    age_seconds: Annotated[float | None, Meta(description="Null where the source had none: the declared value.")]


class Answer(Struct, frozen=True):
    "One entry for each row, in the order of the request."

    predictions: Annotated[list[Label], Meta(description="The most probable class of each row.")]
    probabilities: list[Probabilities]
    model_name: Annotated[str, Meta(examples=["iris_logistic_regression"])]
    model_version: Annotated[str, Meta(examples=["1"])]
    processing_time_ms: Annotated[float, Meta(description="From arrival to the model's answer.", examples=[1.35])]
    timestamp: Annotated[str, Meta(extra_json_schema={"format": "date-time"}, description="Arrival, UTC.")]
    prediction_ids: Annotated[list[str], Meta(description="Key of each row in the audit log, ordered in time.")]
    prediction_sets: Annotated[
        list[list[Label]] | UnsetType, Meta(description="With `alpha`: the classes that can't be ruled out.")
    ] = UNSET
    decisions: Annotated[
        list[Label] | UnsetType, Meta(description="Where costs are declared: the class of least expected cost.")
    ] = UNSET
    looked_up: Annotated[
        list[dict[str, LookedUp]] | UnsetType, Meta(description="With `looked_up`: what was looked up, by feature.")
    ] = UNSET
    rejected: Annotated[list[BadRow] | UnsetType, Meta(description="With `partial`: rows without answer.")] = UNSET


def with_rejected(answer: Answer, rejected: list[BadRow]) -> Answer:
    "Return the answer to the good rows of a batch with a list of the bad ones."
    return structs.replace(answer, rejected=rejected)


class Problem(Struct, frozen=True, omit_defaults=True):
    "What went wrong (RFC 9457)."

    type: str
    title: str
    status: int
    detail: str
    request_id: str = ""
    errors: list[Fault] = []


class Health(Struct, frozen=True):
    "Whether predictions are answered, and why not."

    status: Annotated[str, Meta(extra_json_schema={"enum": ["healthy", "degraded", "unavailable"]})]
    model: str
    model_name: str | None
    model_version: str | None
    database: str
    uptime_seconds: float
    faults: list[str]


class Alive(Struct, frozen=True):
    "The process answers."

    status: str


class Feature(Struct, frozen=True):
    "What one field of a row holds."

    name: str
    kind: Annotated[str, Meta(examples=["number", "yes_no", "category", "date"])]
    description: str
    unit: str
    missing: Annotated[bool, Meta(description="Whether it may be null or left out.")]
    expected: Annotated[str, Meta(description="What a value must be, in words.")]
    levels: Annotated[list[str], Meta(description="Of a category: its values.")]
    low: Annotated[float | str | None, Meta(description="Of a number or a date: the smallest value.")]
    high: Annotated[float | str | None, Meta(description="Of a number or a date: the largest value.")]


def feature_of(kind: Kind) -> Feature:
    "Return what callers need to know of one feature."
    low, high = (None, None) if kind.levels else map(kind.decode, kind.bounds)
    levels = [] if kind.kind == "yes_no" else list(kind.levels)
    return Feature(kind.name, kind.kind, kind.description, kind.unit, kind.missing, kind.expected, levels, low, high)


class Root(Struct, frozen=True):
    "What this is and what there is."

    name: str
    version: str
    model: str | None
    classifies: str
    classes: list[str]
    features: list[Feature]
    costs: Annotated[
        list[list[float]], Meta(description="Of a decision (column) where a class (row) is true; empty without costs.")
    ]
    links: dict[str, str]


class LoggedPrediction(Struct, frozen=True):
    "One row of the audit log."

    id: str
    request_id: str
    timestamp: Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
    features: Features
    prediction: Label
    confidence: float
    probabilities: Probabilities
    model_name: str
    model_version: str
    duration_ms: float
    caller: Annotated[str | None, Meta(description="Name of the caller's key.")]
    true_label: Annotated[Label | None, Meta(description="The true class, once it is known.")]
    decision: Annotated[
        Label | None | UnsetType, Meta(description="Where costs are declared: the class of least expected cost.")
    ] = UNSET


class Page(Struct, frozen=True):
    "Rows of the audit log, newest first."

    predictions: list[LoggedPrediction]
    next: Annotated[str | None, Meta(description="Send it as `before` for the next page; null at the end.")]


class LabelRequest(Struct, forbid_unknown_fields=True, frozen=True):
    "What a row really was."

    label: Label
    correct: Annotated[bool, Meta(description="Whether this corrects an earlier label.")] = False


def logged_prediction(schema: Schema, row: dict[str, Any]) -> LoggedPrediction:
    "Return a row of the audit log as it goes over the wire."
    made = ("features", "timestamp", "prediction", "decision")  # a feature may be called features, too
    same = {name: row[name] for name in LoggedPrediction.__struct_fields__ if name not in made}
    features = {f.name: f.from_log(row[f.name]) for f in schema.features}
    decision = row.get("decision") if schema.costs else UNSET
    return LoggedPrediction(
        **same, timestamp=rfc3339(row["time"]), features=features, prediction=row["label"], decision=decision
    )


def csv_of(schema: Schema, page: Page) -> str:
    "Return a page as a table: features and probabilities each in a column of their own."
    columns = [f for f in LoggedPrediction.__struct_fields__ if f not in ("features", "probabilities", "decision")]
    columns += ["decision"] if schema.costs else []
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*columns, *schema.names, *(f"probability_{c}" for c in schema.classes)])
    table.writerows(_csv_row(row, columns) for row in page.predictions)
    return text.getvalue()


def _csv_row(row: LoggedPrediction, columns: list[str]) -> Iterable[Any]:
    texts = (*(getattr(row, name) for name in columns), *row.features.values())
    return [*map(spreadsheet_text, texts), *row.probabilities]


def components(schema: Schema) -> dict[str, Any]:
    "Return what OpenAPI says of everything that goes over the wire, by name."
    ours = [t for t in globals().values() if isinstance(t, type) and issubclass(t, Struct) and t is not Struct]
    asked = request_schema(schema)
    row = row_type(asked)
    logged = row if asked is schema else row_type(schema, "Features")
    _, found = schema_components([*ours, *STRUCTS, row, logged, batch_type(row)], ref_template=_COMPONENT)
    for name, said in {row.__name__: asked, logged.__name__: schema}.items():
        told = found[name]["properties"]
        told |= {f.name: _field(f, told[f.name]) for f in said.features}
    order = f"In the order {', '.join(schema.classes)}."
    parts = {
        "label": {"enum": list(schema.classes)},
        "probabilities": {"type": "array", "items": {"type": "number"}, "description": order},
        "row": {"$ref": _COMPONENT.format(name=logged.__name__)},
    }
    return {name: _filled(part, parts) for name, part in found.items()}


def _filled(told: Any, parts: dict[str, Any]) -> Any:
    "Return a piece of documentation with the parts that it marks."
    if isinstance(told, list):
        return [_filled(piece, parts) for piece in told]
    if not isinstance(told, dict):
        return told
    if "x-part" in told:
        return parts[told["x-part"]]
    return {name: _filled(piece, parts) for name, piece in told.items()}


def _field(kind: Kind, told: dict[str, Any]) -> dict[str, Any]:
    "Return the documentation of a field: words first, values in their order, null as one more type."
    told = dict(told.get("anyOf", [told])[0])
    if told.get("multipleOf") == 1:
        told["type"] = "integer"
    if "enum" in told:
        told["enum"] = [*kind.levels, *([None] if kind.missing else [])]
    elif kind.missing:
        told["type"] = [told["type"], "null"]
    return told


def rfc3339(time_us: int) -> str:
    "Return microseconds since 1970 as text (RFC 3339)."
    seconds, rest = divmod(time_us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"


def microseconds(moment: datetime | None) -> int | None:
    "Return a moment as microseconds since 1970; without a zone it is UTC."
    if moment is None:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)
