"""A log, and its bare database, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from iris_nb.audit.connection import open_engine, parse_url
from iris_nb.audit.log import AuditLog
from tests.audit.logs import open_log


@pytest.fixture
def log(place: str) -> Iterator[AuditLog]:
    with open_log(place, timeout=0.3) as opened:
        yield opened


@pytest.fixture
def engine(place: str) -> Iterator[Engine]:
    "The bare database, before any log was opened in it."
    url = parse_url(place)
    if url.get_backend_name() == "sqlite":
        Path(str(url.database)).touch()
    opened = open_engine(url, "normal", read_only=False, timeout=5)
    yield opened
    opened.dispose()
