"""The audit log as callers see it: rows as structs, pages as JSON or CSV."""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from litestar import Response

from iris_nb.table import SCHEMA
from serve.schemas import Logged, Page, Row

CSV_HEAD = tuple(f for f in Logged.__struct_fields__ if f not in ("features", "probabilities"))


def logged(row: dict[str, Any]) -> Logged:
    "A row of the log as it goes over the wire."
    same = {name: row[name] for name in Logged.__struct_fields__ if name in row}
    features = Row(*(row[name] for name in SCHEMA.names))
    return Logged(**same, timestamp=stamp_of(row["time"]), features=features, prediction=row["label"])


def as_csv(page: Page) -> Response[Any]:
    "A page as a table: features and probabilities each in a column of their own, the cursor in a header."
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*CSV_HEAD, *SCHEMA.names, *(f"probability_{c}" for c in SCHEMA.classes)])
    table.writerows(line(row) for row in page.predictions)
    return Response(text.getvalue(), media_type="text/csv", headers={"x-next": page.next} if page.next else {})


def line(row: Logged) -> Iterable[Any]:
    features = (getattr(row.features, name) for name in SCHEMA.names)
    return [*(getattr(row, name) for name in CSV_HEAD), *features, *row.probabilities]


def stamp_of(time_us: int) -> str:
    "Microseconds since 1970 as RFC 3339."
    seconds, rest = divmod(time_us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"


def micros_of(moment: datetime | None) -> int | None:
    "A moment as microseconds since 1970; without a zone it is UTC."
    if moment is None:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)
