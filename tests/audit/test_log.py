"""The audit log keeps what its docstring promises, in SQLite and in PostgreSQL."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from iris_nb.audit.connection import begin_exclusive
from iris_nb.audit.log import AuditConflict, AuditError, AuditLog, AuditMissing, Entry, ids_of
from iris_nb.audit.maintenance import prune, verify
from iris_nb.audit.migrations import MIGRATIONS, applied_migrations
from tests.audit.logs import (
    NOON,
    OTHERS,
    ROOT,
    SCHEMA,
    SECOND,
    entries,
    entry,
    migrated,
    open_log,
    script,
    tamper,
)


def test_programs_that_start_together_on_a_blank_log_do_not_quarrel(place):
    code = """if True:
        import sys
        from tests.audit.logs import entries, open_log
        number = int(sys.argv[2])
        with open_log(sys.argv[1]) as log:
            for start in range(number * 1000, number * 1000 + 100, 10):
                log.append(entries(start + 10, start))
        """
    programs = [script(code, place, str(number)) for number in range(5)]
    for program in programs:
        _, complaints = program.communicate(timeout=120)
        assert program.returncode == 0, complaints
    with open_log(place) as log:
        assert log.count() == 500
        assert {row.seq for row in log.database.fetch(select(log.database.rows.c.seq))} == set(range(1, 501))
        assert verify(log).sentence == "All 500 rows are as they were written."


def test_any_other_schema_has_a_log_of_its_own(place):
    with AuditLog.open(place, OTHERS) as log:
        log.append([entry(1, features=[(27,)], labels=["left"], probabilities=[(0.9, 0.1)])])
        assert log.get("id-000001-00000")["size"] == 27.0
        assert log.summary()["classes"] == {"left": 1, "right": 0}


def test_a_reader_finds_no_log_where_none_is(tmp_path):
    with pytest.raises(AuditError, match="no audit log at .*audit.db yet: the service begins it"):
        open_log(tmp_path / "audit.db", read_only=True)
    assert not list(tmp_path.iterdir())


def test_a_reader_refuses_a_log_that_is_not_up_to_date(place, engine):
    migrated(engine, MIGRATIONS[:1])
    with pytest.raises(AuditError, match="start the service once"):
        open_log(place, read_only=True)
    with engine.connect() as connection:
        assert applied_migrations(connection) == [MIGRATIONS[0].__name__]


floats = st.floats(allow_nan=False, allow_infinity=False)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


any_row = st.tuples(
    st.tuples(*(floats | st.integers(-(2**53), 2**53) for _ in SCHEMA.features)),
    st.sampled_from(SCHEMA.classes),
    floats,
    st.tuples(*(floats for _ in SCHEMA.classes)),
)


@st.composite
def any_entry(draw: st.DrawFn) -> Entry:
    x, labels, confidences, p = zip(*draw(st.lists(any_row, min_size=1, max_size=4)), strict=True)
    return entry(
        draw(st.integers(0, 10**6 - 1)),
        request_id=draw(texts),
        time=draw(st.integers(0, 2**62)),
        model_version=draw(texts),
        duration_ms=draw(floats),
        caller=draw(st.none() | texts),
        features=x,
        labels=labels,
        confidences=confidences,
        probabilities=p,
    )


SHARED = "request_id", "time", "model_name", "model_version", "duration_ms", "caller"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(group=st.lists(any_entry(), max_size=8, unique_by=lambda e: e.id))
def test_what_was_written_comes_back_bit_for_bit_and_the_chain_holds(log, group):
    group = [e for e in group if log.get(e.id) is None]
    log.append(group)
    for e in group:
        for i, id in enumerate(ids_of(e.id, len(e.labels))):
            row = log.get(id)
            assert row["id"] == id
            assert tuple(row[name] for name in SCHEMA.names) == e.features[i]
            assert all(type(row[name]) is float for name in SCHEMA.names)
            assert tuple(row["probabilities"]) == e.probabilities[i]
            assert (row["label"], row["confidence"]) == (e.labels[i], e.confidences[i])
            assert {name: row[name] for name in SHARED} == {name: getattr(e, name) for name in SHARED}
        assert log.get(f"{e.id[:-5]}{len(e.labels):05x}") is None
    assert verify(log).sound, verify(log).sentence


def test_rows_of_unequal_number_are_refused_and_nothing_is_written(log):
    with pytest.raises(ValueError, match="shorter"):
        log.append([entry(1), entry(2, rows=3, labels=[SCHEMA.classes[0]] * 2)])
    assert log.count() == 0
    log.append([entry(1)])


def test_an_id_is_found_only_as_it_was_given(log):
    log.append([entry(1, rows=20), entry(2)])
    assert log.get("id-000001-0000a")["seq"] == 11
    for wrong in (
        "id-000001-0000A",
        "id-000001-00014",
        "ID-000001-00000",
        "id-000001",
        "00000",
        "",
        "id-000001-0000\n",
    ):
        assert log.get(wrong) is None


@pytest.mark.parametrize("rows", [1, 2, 127, 128, 129, 1000])
def test_a_group_of_any_size_is_whole(log, rows):
    log.append(entries(rows))
    assert log.count() == rows
    assert verify(log).sound


def test_no_rows_write_nothing_but_find_out_whether_the_log_can_be_written(log):
    log.append([])
    assert log.count() == 0
    assert verify(log).sound
    with log.database.engine.connect() as other:
        begin_exclusive(other)
        with pytest.raises(AuditError, match="locked"):
            log.append([])


def test_one_bad_row_keeps_the_whole_group_out_and_the_log_goes_on(log):
    log.append(entries(3))
    with pytest.raises(AuditError, match="id it holds already"):
        log.append([*entries(9, 3), entry(1)])
    assert log.count() == 3
    log.append(entries(9, 3))
    assert verify(log).sentence == "All 9 rows are as they were written."


def test_a_row_that_is_not_a_number_is_refused_in_sqlite(tmp_path):
    with open_log(tmp_path / "audit.db") as log:
        with pytest.raises(AuditError, match="not a number"):
            log.append([entry(1, confidences=[float("nan")])])
        assert log.count() == 0


def test_another_connection_sees_the_rows_as_soon_as_append_returns(place, log):
    with open_log(place, read_only=True) as reader:
        for i in range(20):
            log.append([entry(i)])
            assert reader.get(f"id-{i:06}-00000") is not None


def test_threads_take_turns(log):
    def work(number: int) -> None:
        for start in range(number * 1000, number * 1000 + 60, 6):
            log.append(entries(start + 6, start))

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(log).sentence == "All 240 rows are as they were written."


KILLED = """if True:
    import sys
    from itertools import count
    from tests.audit.logs import entries, open_log
    log = open_log(sys.argv[1], sync=sys.argv[2])
    for group in count():
        log.append(entries(group * 50 + 50, group * 50))
        print(group, flush=True)
    """


@pytest.mark.parametrize("sync", ["full", "normal"])
@pytest.mark.parametrize("groups", [1, 5, 12])
def test_a_killed_writer_leaves_every_committed_group_and_no_half_one(place, sync, groups):
    writer = script(KILLED, place, sync)
    answered = [int(writer.stdout.readline()) for _ in range(groups)]
    writer.send_signal(signal.SIGKILL)
    answered += [int(line) for line in writer.stdout]  # what it had said before it died
    writer.communicate()
    with open_log(place) as log:
        assert log.count() % 50 == 0
        assert len(answered) * 50 <= log.count() <= len(answered) * 50 + 50
        assert all(log.get(f"id-{group * 50 + 49:06}-00000") for group in answered)
        assert verify(log).sound
        log.append([entry(10**6)])


def test_a_reader_can_not_write(place, log):
    log.append(entries(1))
    with open_log(place, read_only=True) as reader:
        with pytest.raises(AuditError, match="can't be written"):
            reader.append(entries(2, 1))
        with pytest.raises(AuditError, match="can't be written"):
            reader.label("id-000000-00000", SCHEMA.classes[0])
        with pytest.raises(AuditError, match="can't be written"):
            prune(reader, datetime.now(UTC))


def test_a_reader_in_the_middle_of_a_long_question_does_not_delay_the_writer(place, log):
    log.append(entries(50))
    with open_log(place, read_only=True) as reader, reader.database.engine.connect() as connection:
        rows = connection.execution_options(yield_per=1).execute(select(reader.database.predictions))
        first = next(rows)
        log.append(entries(100, 50))  # would fail after its timeout if the reader held it up
        assert first.seq == 1
        rows.close()
    assert log.count() == 100


def test_a_writer_in_the_middle_of_a_group_does_not_delay_a_reader(place, log, engine):
    log.append(entries(5))
    with engine.connect() as connection:
        begin_exclusive(connection)
        connection.execute(text("DELETE FROM labels"))
        with open_log(place, read_only=True, timeout=0.3) as reader:
            assert reader.summary()["count"] == 5
        connection.rollback()


def test_a_label_travels_with_its_prediction(log):
    log.append(entries(2))
    log.label("id-000001-00000", SCHEMA.classes[-1])
    assert log.get("id-000001-00000")["true_label"] == SCHEMA.classes[-1]
    assert [row["true_label"] for row in log.latest(2)] == [SCHEMA.classes[-1], None]


def test_the_same_label_twice_is_one_label(log):
    log.append(entries(1))
    for _ in range(2):
        log.label("id-000000-00000", SCHEMA.classes[1])
    assert len(log.database.fetch(select(log.database.labels))) == 1


def test_a_second_different_label_is_a_conflict_unless_it_corrects(log):
    first, second = SCHEMA.classes[:2]
    log.append(entries(1))
    log.label("id-000000-00000", first)
    with pytest.raises(AuditConflict, match=f"has the label {first} already"):
        log.label("id-000000-00000", second)
    assert log.get("id-000000-00000")["true_label"] == first
    log.label("id-000000-00000", second, correct=True)
    assert log.get("id-000000-00000")["true_label"] == second
    assert [
        row.true_label for row in log.database.fetch(select(log.database.labels).order_by(log.database.labels.c.number))
    ] == [first, second]


def test_a_label_for_nothing_or_of_no_class_is_refused(log):
    log.append(entries(1))
    with pytest.raises(AuditMissing, match="no prediction with the id 'nobody'"):
        log.label("nobody", SCHEMA.classes[0])
    with pytest.raises(ValueError, match="The true class is one of"):
        log.label("id-000000-00000", "rose")


def test_nothing_heavy_is_loaded_with_the_log():
    code = "import sys, iris_nb.audit.log, iris_nb.audit.maintenance; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"pandas", "pyarrow", "numpy", "litestar", "mlflow"} & set(loaded.stdout.split())


# Rows that the log refuses

ABORT = {
    "sqlite": ["CREATE TRIGGER refuse BEFORE INSERT ON rows BEGIN SELECT RAISE(ABORT, 'no room for flowers'); END"],
    "postgresql": [
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE EXCEPTION 'no room for flowers'; END$$",
        "CREATE TRIGGER refuse BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION refuse()",
    ],
}


@pytest.mark.parametrize("how", ["trigger", "no table", "same id", "not a number", "no chain"])
def test_a_row_that_is_refused_leaves_no_open_transaction(place, log, how):
    sqlite, refused = log.database.engine.dialect.name == "sqlite", entry(1)
    if how == "not a number" and not sqlite:
        pytest.skip("PostgreSQL stores what is not a number")
    log.append([entry(0)])
    if how == "trigger":
        for statement in ABORT[log.database.engine.dialect.name]:
            tamper(log, statement)
    elif how == "no table":
        tamper(log, "ALTER TABLE rows RENAME TO rows_elsewhere")
    elif how == "no chain":
        tamper(log, "UPDATE chain SET seq = 0")
        tamper(log, "DELETE FROM chain")
    else:
        refused = entry(0) if how == "same id" else entry(1, confidences=[float("nan")])
    kept = []
    for _ in range(2):
        try:
            log.append([entry(5), refused])
        except AuditError as error:
            kept.append(error)  # as a service does that reports it later
    assert len(kept) == 2
    assert "locked" not in str(kept[1])
    repair = {
        "trigger": "DROP TRIGGER refuse" if sqlite else "DROP TRIGGER refuse ON rows",
        "no table": "ALTER TABLE rows_elsewhere RENAME TO rows",
    }
    with open_log(place, timeout=0.3) if how not in ("no table", "no chain") else nullcontext(log) as other:
        if how in repair:
            tamper(other, repair[how])  # another program can write at once
        if how != "no chain":
            other.label("id-000000-00000", SCHEMA.classes[0])
            log.append([entry(1)])
            assert log.count() == 2


def test_an_error_in_the_middle_of_a_label_leaves_no_open_transaction(place, log):
    log.append([entry(0)])
    tamper(log, "ALTER TABLE labels RENAME TO labels_elsewhere")
    with pytest.raises(AuditError, match="lacks one of its tables") as kept:
        log.label("id-000000-00000", SCHEMA.classes[0])
    tamper(log, "ALTER TABLE labels_elsewhere RENAME TO labels")
    log.label("id-000000-00000", SCHEMA.classes[0])
    log.append([entry(1)])
    assert kept.value


# A log that can't be written

AS_NOBODY = """if True:
    import os, sys
    from tests.audit.logs import entries, open_log
    os.setgid(65534), os.setuid(65534)
    from iris_nb.audit.log import AuditError
    with open_log(sys.argv[1], read_only=True) as log:
        print(log.count())
    try:
        open_log(sys.argv[1])
    except AuditError as error:
        print(error)
    """


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("owner", [True, False])
def test_a_file_that_is_read_only_is_refused_when_it_is_opened_for_writing(owner):
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        path = Path(home, "audit.db")
        with open_log(path) as log:
            log.append(entries(3))
        path.chmod(0o444)
        os.chown(path, 65534 if owner else 0, -1)
        Path(home).chmod(0o777)
        program = script(AS_NOBODY, str(path))
        said, complaints = program.communicate(timeout=60)
    assert program.returncode == 0, complaints
    done = "written: its file or folder is read-only"
    if not owner:
        done = "opened: its file or folder may not be used by this user"
    assert said.splitlines() == ["3", f"The audit log {path} can't be {done}."]


def test_a_server_that_does_not_allow_writing_is_refused_when_it_is_opened_for_writing(place, log):
    if log.database.engine.dialect.name == "sqlite":
        pytest.skip("a file has no users of its own")
    tamper(log, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC")
    tamper(log, "DROP ROLE IF EXISTS looker")
    tamper(log, "CREATE ROLE looker LOGIN")
    reader = place.replace("iris@", "looker@")
    with open_log(reader, read_only=True) as looking:
        assert looking.count() == 0
    with pytest.raises(AuditError, match="can't be opened: its file or folder may not be used by this user"):
        open_log(reader)
    tamper(log, "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM looker")
    tamper(log, "DROP ROLE looker")


def test_a_log_can_be_opened_as_what_it_was_made_for(place, log):
    log.append([entry(0)])
    with AuditLog.open(place, schema=None, read_only=True) as opened:
        assert opened.database.schema == SCHEMA
        assert opened.count() == 1


def test_a_log_that_was_not_begun_was_made_for_nothing(place, engine):
    with pytest.raises(AuditError, match="not begun yet|up to date"):
        AuditLog.open(place, schema=None, read_only=True)


def test_no_password_is_in_a_message_about_a_log():
    for url in ("postgresql://iris:hush@127.0.0.1:1/log", "postgresql://127.0.0.1:1/log?password=hush&user=iris"):
        with pytest.raises(AuditError, match="can't be reached") as caught:
            open_log(url)
        assert "hush" not in str(caught.value)


# What PostgreSQL has no text for


@pytest.mark.parametrize("id", ["\0", "id-000001-00000\0", "\0id-000001-00000", "id-\0-00000"])
def test_an_id_with_a_nul_is_an_id_of_nothing(log, id):
    log.append([entry(1)])
    assert log.get(id) is None
    with pytest.raises(AuditMissing, match="no prediction with the id"):
        log.label(id, SCHEMA.classes[0])
    assert log.history(label="\0").rows == log.history(model_version="1\0").rows == []
    assert log.summary(model_version="\0")["count"] == 0
    assert sum(part["count"] for part in log.over_time(NOON, NOON + 9 * SECOND, 3, label="\0")) == 0


@pytest.mark.parametrize("address", ["postgresql://iris@db:hush/iris", "postgresql://iris:a@db.example:hush/iris"])
def test_an_address_that_can_not_be_read_is_not_repeated(address):
    with pytest.raises(AuditError, match="Its port is a number") as caught:
        AuditLog.open(address)
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


CONTEXT = {
    "experiment_name": "spring",
    "experiment_arm": "champion",
    "experiment_unit": "a1",
    "trace_id": "t1",
    "model_digest": "m1",
}


def test_what_a_request_was_part_of_is_kept_and_shown_only_where_it_is_set(log):
    log.append([entry(0), entry(1, **CONTEXT)])
    plain, placed = log.get("id-000000-00000"), log.get("id-000001-00000")
    assert not set(plain) & set(CONTEXT)
    assert {name: placed[name] for name in CONTEXT} == CONTEXT
    assert [set(row) & set(CONTEXT) for row in log.latest(2)] == [set(CONTEXT), set()]


def test_a_request_without_context_has_the_digest_that_it_always_had(log):
    log.append([entry(0)])
    alone = log.get("id-000000-00000")["digest"]
    assert alone == "3e02bc599e1d564ee0ed9613b971803687faf55a412eda52cdc1f263721dd27e"
