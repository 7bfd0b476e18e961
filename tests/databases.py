"""Databases for the audit log: a fresh SQLite file, or a fresh database of a PostgreSQL started for the tests."""

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.tools import need

numbers = count(1)


def as_nobody() -> list[str]:
    "The words that run a command as an ordinary user: PostgreSQL refuses to be root."
    if os.geteuid() != 0:
        return []
    user = "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"
    return ["runuser", "-u", user, "--"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    "The address of a PostgreSQL of our own, which listens on a socket in a temporary folder and nowhere else."
    pytest.importorskip("psycopg", reason="the log in PostgreSQL needs the extra 'postgres'")
    programs = Path(need("initdb")).parent
    user = as_nobody()
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as home:
        Path(home).chmod(0o777)
        data, run = f"{home}/data", {"check": True, "cwd": "/", "capture_output": True}
        made = [*user, f"{programs}/initdb", "-D", data, "-U", "iris", "--auth=trust", "--no-sync", "-E", "UTF8"]
        subprocess.run(made, **run)
        control = [*user, f"{programs}/pg_ctl", "-D", data, "-w", "-l", f"{home}/log"]
        subprocess.run([*control, "-o", f"-k {home} -c listen_addresses='' -c fsync=off", "start"], **run)
        try:
            yield f"postgresql+psycopg://iris@/postgres?host={home}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **run)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    "The address of a database that nobody has used yet; each test that asks for it runs on both kinds."
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/audit.db"
        return
    server, name = request.getfixturevalue("postgres_server"), f"log{next(numbers)}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.replace("/postgres?", f"/{name}?")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()
