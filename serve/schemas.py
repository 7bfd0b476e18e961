"""What goes over the wire: structs made from the schema, so that its names and bounds are spelt nowhere here."""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, defstruct, structs

from iris_nb.audit.history import spreadsheet_text
from iris_nb.schema import Kind, Schema
from iris_nb.table import SCHEMA


def _column(feature: Kind) -> Any:
    "Return the type of one field: a number with the feature's bounds, and its words for the documentation."
    about = f"{feature.description} In {feature.unit}." if feature.unit else feature.description
    unit = {"x-unit": feature.unit}
    return Annotated[
        float,
        Meta(ge=feature.low, le=feature.high, description=about, examples=[feature.example], extra_json_schema=unit),
    ]


#: A row that is called like one of these is documented as BatchRow, HealthRow …
_OWN_STRUCTS = {"Batch", "Fault", "BadRow", "Answer", "Problem", "Health", "Alive", "Root", "LoggedPrediction", "Page"}
_OWN_STRUCTS |= {"LabelRequest", "Row", "Label"}


def row_type(schema: Schema) -> type[Struct]:
    "Return the struct of one row, which refuses what `schema` refuses."
    name = schema.row.title().replace(" ", "")
    return defstruct(
        f"{name}Row" if name in _OWN_STRUCTS else name,
        [(f.name, _column(f)) for f in schema.features],
        namespace={"__doc__": f"One {schema.row} to classify."},
        forbid_unknown_fields=True,
        frozen=True,
        gc=False,
    )


if TYPE_CHECKING:
    Row = Struct
    Label = str
else:
    Row = row_type(SCHEMA)
    Label = Literal[SCHEMA.classes]

Probabilities = Annotated[list[float], Meta(description=f"In the order {', '.join(SCHEMA.classes)}.")]


class Batch(Struct, forbid_unknown_fields=True, frozen=True):
    "Rows that are answered together."

    samples: Annotated[list[Row], Meta(min_length=1)]


class Fault(Struct, frozen=True):
    "One thing that is wrong with a request."

    pointer: Annotated[str, Meta(description="JSON pointer (RFC 6901) to the field.", examples=["/samples/3/x"])]
    field: Annotated[str, Meta(description="Name of the field; empty for the row or body as a whole.")]
    expected: str
    got: str


class BadRow(Struct, frozen=True):
    "A row of a batch that got no answer."

    index: int
    errors: list[Fault]


class Answer(Struct, frozen=True):
    "One entry for each row, in the order of the request."

    predictions: Annotated[list[Label], Meta(description="The most probable class of each row.")]
    probabilities: list[Probabilities]
    model_name: Annotated[str, Meta(examples=[f"{SCHEMA.name}_logistic_regression"])]
    model_version: Annotated[str, Meta(examples=["1"])]
    processing_time_ms: Annotated[float, Meta(description="From arrival to the model's answer.", examples=[1.35])]
    timestamp: Annotated[str, Meta(extra_json_schema={"format": "date-time"}, description="Arrival, UTC.")]
    prediction_ids: Annotated[list[str], Meta(description="Key of each row in the audit log, ordered in time.")]
    prediction_sets: Annotated[
        list[list[Label]] | UnsetType, Meta(description="With `alpha`: the classes that can't be ruled out.")
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


class Root(Struct, frozen=True):
    "What this is and what there is."

    name: str
    version: str
    model: str | None
    classifies: str
    classes: list[str]
    links: dict[str, str]


class LoggedPrediction(Struct, frozen=True):
    "One row of the audit log."

    id: str
    request_id: str
    timestamp: Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
    features: Row
    prediction: Label
    confidence: float
    probabilities: Probabilities
    model_name: str
    model_version: str
    duration_ms: float
    caller: Annotated[str | None, Meta(description="Name of the caller's key.")]
    true_label: Annotated[Label | None, Meta(description="The true class, once it is known.")]


class Page(Struct, frozen=True):
    "Rows of the audit log, newest first."

    predictions: list[LoggedPrediction]
    next: Annotated[str | None, Meta(description="Send it as `before` for the next page; null at the end.")]


class LabelRequest(Struct, forbid_unknown_fields=True, frozen=True):
    "What a row really was."

    label: Label
    correct: Annotated[bool, Meta(description="Whether this corrects an earlier label.")] = False


_CSV_COLUMNS = tuple(f for f in LoggedPrediction.__struct_fields__ if f not in ("features", "probabilities"))


def logged_prediction(row: dict[str, Any]) -> LoggedPrediction:
    "Return a row of the audit log as it goes over the wire."
    same = {name: row[name] for name in LoggedPrediction.__struct_fields__ if name in row}
    features = Row(*(row[name] for name in SCHEMA.names))
    return LoggedPrediction(**same, timestamp=rfc3339(row["time"]), features=features, prediction=row["label"])


def csv_of(page: Page) -> str:
    "Return a page as a table: features and probabilities each in a column of their own."
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*_CSV_COLUMNS, *SCHEMA.names, *(f"probability_{c}" for c in SCHEMA.classes)])
    table.writerows(_csv_row(row) for row in page.predictions)
    return text.getvalue()


def _csv_row(row: LoggedPrediction) -> Iterable[Any]:
    features = (getattr(row.features, name) for name in SCHEMA.names)
    return [*(spreadsheet_text(getattr(row, name)) for name in _CSV_COLUMNS), *features, *row.probabilities]


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
