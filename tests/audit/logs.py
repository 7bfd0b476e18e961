"""Audit logs for the tests of this room, about a table of their own."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text

from iris_nb.audit.connection import begin_exclusive
from iris_nb.audit.log import AuditLog, Entry
from iris_nb.audit.migrations import migrate
from iris_nb.schema import Number, Schema

SCHEMA = Schema(
    "people",
    "person",
    (
        Number("height", "m", 0.2, 2.6, "Height without shoes.", 1.7),
        Number("weight", "kg", 1, 300, "Weight in light clothes.", 70),
    ),
    "team",
    ("red", "blue", "green"),
)


def open_log(place: str | Path, **options: Any) -> AuditLog:
    return AuditLog.open(place, SCHEMA, **options)


ROOT = Path(__file__).parents[2]
NOON = 1_777_636_800_000_000  # 2026-05-01 12:00 UTC, in microseconds
SECOND = 1_000_000
EXAMPLE = tuple(float(feature.example) for feature in SCHEMA.features)
OTHERS = Schema("shoes", "shoe", (Number("size", "cm", 5, 50, "Length of the sole.", 27),), "foot", ("left", "right"))


def entry(i: int, rows: int = 1, **changed: object) -> Entry:
    "The i-th of as many requests as one likes, a second after the one before; all its rows are alike."
    share = 0.5 + (i % 50) / 100
    fields = {
        "id": f"id-{i:06}-00000",
        "request_id": f"request-{i // 3}",
        "time": NOON + i * SECOND,
        "model_name": "model",
        "model_version": str(1 + i // 50),
        "duration_ms": 0.3 + i % 7,
        "caller": None if i % 2 else "gardener",
        "features": [EXAMPLE] * rows,
        "labels": [SCHEMA.classes[i % len(SCHEMA.classes)]] * rows,
        "confidences": [share] * rows,
        "probabilities": [(share, 1 - share, *(0.0 for _ in SCHEMA.classes[2:]))] * rows,
    }
    return Entry(**(fields | changed))


def entries(stop: int, start: int = 0) -> list[Entry]:
    return [entry(i) for i in range(start, stop)]


def migrated(engine: Engine, steps: Sequence[Callable[[Connection, Schema], None]]) -> None:
    with engine.connect() as connection:
        begin_exclusive(connection)
        migrate(connection, SCHEMA, steps)
        connection.commit()


def shape(engine: Engine) -> dict[str, list[tuple[str, str, bool]]]:
    "Every table and view with the names, types and optionality of its columns, and the names of its indexes."
    found = inspect(engine)
    return {
        name: [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(name)]
        + [(str(i["name"]), "index", bool(i["unique"])) for i in found.get_indexes(name)]
        for name in [*found.get_table_names(), *found.get_view_names()]
    }


def tamper(log: AuditLog, sql: str, **values: object) -> None:
    "Do what anybody could with the database at hand."
    with log.database.engine.connect() as connection:
        begin_exclusive(connection)
        connection.execute(text(sql), values)
        connection.commit()


def script(code: str, *arguments: str) -> subprocess.Popen[str]:
    "Another program that uses the log."
    words = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
