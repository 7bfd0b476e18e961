"""Every log, blank or old, ends with the same tables; a log that is not ours is refused."""

import pytest
from sqlalchemy import Connection, inspect, text

from iris_nb.audit.log import AuditError, AuditLog
from iris_nb.audit.maintenance import verify
from iris_nb.audit.migrations import MIGRATIONS, applied_migrations
from iris_nb.schema import Schema
from tests.audit.logs import OTHERS, entries, migrated, open_log, shape, tamper


def test_a_blank_log_takes_every_step_in_order(log):
    with log.database.engine.connect() as connection:
        assert applied_migrations(connection) == [step.__name__ for step in MIGRATIONS]


def test_opening_again_changes_nothing(place):
    with open_log(place) as log:
        log.append(entries(3))
        before = shape(log.database.engine)
    with open_log(place) as log:
        assert shape(log.database.engine) == before
        assert log.count() == 3


@pytest.mark.parametrize("steps", range(1, len(MIGRATIONS)))
def test_a_log_of_any_earlier_version_ends_like_a_new_one(place, engine, steps):
    migrated(engine, MIGRATIONS[:steps])
    with open_log(place) as log:
        caught_up = shape(log.database.engine)
        log.append(entries(2))
        assert verify(log).sound
    with engine.connect() as connection:
        connection.execute(text("DROP VIEW predictions"))
        for name in inspect(engine).get_table_names():
            connection.execute(text(f"DROP TABLE {name}"))
        connection.commit()
    migrated(engine, MIGRATIONS)
    assert caught_up == shape(engine)


def test_a_step_that_fails_leaves_no_trace(engine):
    def stumble(connection: Connection, schema: Schema) -> None:
        connection.execute(text("CREATE TABLE half (done INTEGER)"))
        raise RuntimeError("stumbled")

    with pytest.raises(RuntimeError, match="stumbled"):
        migrated(engine, [*MIGRATIONS, stumble])
    assert inspect(engine).get_table_names() == []


def test_a_log_for_other_features_is_refused_and_says_what_to_do(place, log):
    with pytest.raises(AuditError, match="made for another schema: its features are .* name a new file or database"):
        AuditLog.open(place, OTHERS)
    with pytest.raises(AuditError, match="made for another schema"):
        AuditLog.open(place, OTHERS, read_only=True)


def test_a_log_of_another_program_is_refused(place, log):
    tamper(log, "INSERT INTO migrations VALUES ('add_wings', 1)")
    with pytest.raises(AuditError, match=r"another version of this program \(it knows of add_wings\)"):
        open_log(place)
