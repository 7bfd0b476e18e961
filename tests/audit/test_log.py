"""The prediction log keeps what its docstring promises, in SQLite and in PostgreSQL."""

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, inspect, select, text, update

from iris_nb.audit.chain import chain_digest, pack, row_checksums
from iris_nb.audit.connection import begin_exclusive, open_engine, parse_url
from iris_nb.audit.history import Window
from iris_nb.audit.log import AuditConflict, AuditError, AuditLog, AuditMissing, Entry
from iris_nb.audit.maintenance import _prune_chunk, backup, export, prune, verify
from iris_nb.audit.migrations import MIGRATIONS, applied_migrations, ids_of, migrate
from iris_nb.schema import Feature, Schema
from iris_nb.table import SCHEMA

ROOT = Path(__file__).parents[2]
NOON = 1_777_636_800_000_000  # 2026-05-01 12:00 UTC, in microseconds
SECOND = 1_000_000
EXAMPLE = tuple(float(feature.example) for feature in SCHEMA.features)
OTHERS = Schema("shoes", "shoe", (Feature("size", "cm", 5, 50, "Length of the sole.", 27),), "foot", ("left", "right"))


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


@pytest.fixture
def log(place: str) -> Iterator[AuditLog]:
    with AuditLog.open(place, timeout=0.3) as opened:
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
    with log.engine.connect() as connection:
        begin_exclusive(connection)
        connection.execute(text(sql), values)
        connection.commit()


def script(code: str, *arguments: str) -> subprocess.Popen[str]:
    "Another program that uses the log."
    words = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# How a log comes to be


def test_a_blank_log_takes_every_step_in_order(log):
    with log.engine.connect() as connection:
        assert applied_migrations(connection) == [step.__name__ for step in MIGRATIONS]


def test_opening_again_changes_nothing(place):
    with AuditLog.open(place) as log:
        log.append(entries(3))
        before = shape(log.engine)
    with AuditLog.open(place) as log:
        assert shape(log.engine) == before
        assert log.count() == 3


@pytest.mark.parametrize("steps", range(1, len(MIGRATIONS)))
def test_a_log_of_any_earlier_version_ends_like_a_new_one(place, engine, steps):
    migrated(engine, MIGRATIONS[:steps])
    with AuditLog.open(place) as log:
        caught_up = shape(log.engine)
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


def test_programs_that_start_together_on_a_blank_log_do_not_quarrel(place):
    code = """if True:
        import sys
        from tests.audit.test_log import entries
        from iris_nb.audit.log import AuditLog
        number = int(sys.argv[2])
        with AuditLog.open(sys.argv[1]) as log:
            for start in range(number * 1000, number * 1000 + 100, 10):
                log.append(entries(start + 10, start))
        """
    programs = [script(code, place, str(number)) for number in range(5)]
    for program in programs:
        _, complaints = program.communicate(timeout=120)
        assert program.returncode == 0, complaints
    with AuditLog.open(place) as log:
        assert log.count() == 500
        assert {row.seq for row in log.ask(select(log.rows.c.seq))} == set(range(1, 501))
        assert verify(log).sentence == "All 500 rows are as they were written."


def test_a_log_for_other_features_is_refused_and_says_what_to_do(place, log):
    with pytest.raises(AuditError, match="made for another schema: its features are .* name a new file or database"):
        AuditLog.open(place, OTHERS)
    with pytest.raises(AuditError, match="made for another schema"):
        AuditLog.open(place, OTHERS, read_only=True)


def test_a_log_of_another_program_is_refused(place, log):
    tamper(log, "INSERT INTO migrations VALUES ('add_wings', 1)")
    with pytest.raises(AuditError, match=r"another version of this program \(it knows of add_wings\)"):
        AuditLog.open(place)


@pytest.mark.parametrize("name", ["time", "Label", "seq", "DIGEST", "true_label", "first"])
def test_a_feature_called_like_a_column_of_the_log_is_refused(place, name):
    schema = Schema("clocks", "clock", (Feature(name, "s", 0, 9, "What it shows.", 1),), "kind", ("wall", "wrist"))
    with pytest.raises(AuditError, match=f"can't be called '{name}'.*Rename the feature"):
        AuditLog.open(place, schema)


def test_any_other_schema_has_a_log_of_its_own(place):
    with AuditLog.open(place, OTHERS) as log:
        log.append([entry(1, features=[(27,)], labels=["left"], probabilities=[(0.9, 0.1)])])
        assert log.get("id-000001-00000")["size"] == 27.0
        assert log.summary()["classes"] == {"left": 1, "right": 0}


def test_a_reader_finds_no_log_where_none_is(tmp_path):
    with pytest.raises(AuditError, match="no audit log at .*audit.db yet: the service begins it"):
        AuditLog.open(tmp_path / "audit.db", read_only=True)
    assert not list(tmp_path.iterdir())


def test_a_reader_refuses_a_log_that_is_not_up_to_date(place, engine):
    migrated(engine, MIGRATIONS[:1])
    with pytest.raises(AuditError, match="start the service once"):
        AuditLog.open(place, read_only=True)
    with engine.connect() as connection:
        assert applied_migrations(connection) == [MIGRATIONS[0].__name__]


def test_a_log_in_memory_is_none():
    with pytest.raises(AuditError, match="needs a file"):
        AuditLog.open(":memory:")


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path):
    path = tmp_path / "audit.db"
    path.write_text("Dear diary, today I saw a flower. " * 100)
    with pytest.raises(AuditError, match="is not a SQLite database"):
        AuditLog.open(path)


@pytest.mark.parametrize(("sync", "level"), [("full", 2), ("normal", 1)])
def test_sync_decides_how_hard_sqlite_is_pressed(tmp_path, sync, level):
    with AuditLog.open(tmp_path / "audit.db", sync=sync) as log, log.engine.connect() as connection:
        assert connection.scalar(text("PRAGMA synchronous")) == level
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"


# Writing


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
    with log.engine.connect() as other:
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
    with AuditLog.open(tmp_path / "audit.db") as log:
        with pytest.raises(AuditError, match="not a number"):
            log.append([entry(1, confidences=[float("nan")])])
        assert log.count() == 0


def test_another_connection_sees_the_rows_as_soon_as_append_returns(place, log):
    with AuditLog.open(place, read_only=True) as reader:
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
    from tests.audit.test_log import entries
    from iris_nb.audit.log import AuditLog
    log = AuditLog.open(sys.argv[1], sync=sys.argv[2])
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
    with AuditLog.open(place) as log:
        assert log.count() % 50 == 0
        assert len(answered) * 50 <= log.count() <= len(answered) * 50 + 50
        assert all(log.get(f"id-{group * 50 + 49:06}-00000") for group in answered)
        assert verify(log).sound
        log.append([entry(10**6)])


def test_a_locked_log_is_an_error_after_some_patience_and_then_writes_again(log):
    log.append(entries(1))
    with log.engine.connect() as other:
        begin_exclusive(other)
        with pytest.raises(AuditError, match="locked by another program and stayed so"):
            log.append(entries(3, 1))
        with pytest.raises(AuditError, match="locked by another program"):
            log.label("id-000000-00000", SCHEMA.classes[0])
        other.rollback()
    log.append(entries(3, 1))
    assert log.count() == 3


def test_a_log_that_was_removed_is_an_error_until_it_is_back(tmp_path):
    path = tmp_path / "audit.db"
    with AuditLog.open(path) as log:
        log.append(entries(2))
        backup(log, tmp_path / "copy.db")
        for file in tmp_path.glob("audit.db*"):
            file.unlink()
        for _ in range(2):
            with pytest.raises(AuditError, match="audit.db is gone: put the file back, or restart"):
                log.append(entries(4, 2))
        (tmp_path / "copy.db").rename(path)
        log.append(entries(4, 2))
        assert log.count() == 4
        assert verify(log).sound


LIMITED = """if True:
    import resource, signal, sys
    from tests.audit.test_log import entries
    from iris_nb.audit.log import AuditError, AuditLog
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with AuditLog.open(sys.argv[1]) as log:
        log.append(entries(10))
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        try:
            log.append(entries(2000, 10))
        except AuditError as error:
            print(error)
        print(log.count())
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        log.append(entries(2000, 10))
        print(log.count())
    """


def test_a_log_that_can_not_grow_is_an_error_and_then_writes_again(tmp_path):
    program = script(LIMITED, str(tmp_path / "audit.db"))
    said, complaints = program.communicate(timeout=60)
    assert program.returncode == 0, complaints
    error, before, after = said.splitlines()
    assert error.endswith(("the disk is full.", "the disk reports an error."))
    assert (before, after) == ("10", "2000")


def test_a_lost_server_is_an_error_and_then_writes_again(place, log, engine):
    if engine.dialect.name == "sqlite":
        pytest.skip("a file has no server to lose")
    log.append(entries(2))
    with engine.connect() as connection:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        connection.execute(text(f"{others} AND pid <> pg_backend_pid()"))
    with pytest.raises(AuditError):
        log.append(entries(4, 2))
    log.append(entries(4, 2))
    assert log.count() == 4


# Reading


def test_a_reader_can_not_write(place, log):
    log.append(entries(1))
    with AuditLog.open(place, read_only=True) as reader:
        with pytest.raises(AuditError, match="can't be written"):
            reader.append(entries(2, 1))
        with pytest.raises(AuditError, match="can't be written"):
            reader.label("id-000000-00000", SCHEMA.classes[0])
        with pytest.raises(AuditError, match="can't be written"):
            prune(reader, datetime.now(UTC))


def test_a_reader_in_the_middle_of_a_long_question_does_not_delay_the_writer(place, log):
    log.append(entries(50))
    with AuditLog.open(place, read_only=True) as reader, reader.engine.connect() as connection:
        rows = connection.execution_options(yield_per=1).execute(select(reader.predictions))
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
        with AuditLog.open(place, read_only=True, timeout=0.3) as reader:
            assert reader.summary()["count"] == 5
        connection.rollback()


def test_pages_hold_every_row_once_newest_first(log):
    log.append(entries(95))
    seen, cursor, sizes = [], None, []
    while True:
        page = log.history(limit=10, before=cursor)
        seen += [row["id"] for row in page.rows]
        sizes.append(len(page.rows))
        if (cursor := page.next) is None:
            break
    assert seen == [e.id for e in reversed(entries(95))]
    assert sizes == [10] * 9 + [5]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(1, 7),
    arrivals=st.lists(st.lists(st.integers(-50, 50), max_size=4), max_size=12),
    times=st.lists(st.integers(-3, 3), min_size=1, max_size=20),
)
def test_pages_stay_right_while_rows_arrive_whatever_their_clocks_say(place, limit, arrivals, times):
    with AuditLog.open(place, sync="normal") as log:
        start = log.ends().seq
        log.append([entry(start + i, time=NOON + t) for i, t in enumerate(times)])
        expected = [row["id"] for row in log.history(10_000).rows]
        page = log.history(limit)
        seen = [row["id"] for row in page.rows]
        while page.next:
            for late in arrivals.pop() if arrivals else []:
                log.append([entry(log.ends().seq, time=NOON + late)])
            page = log.history(limit, before=page.next)
            seen += [row["id"] for row in page.rows]
        assert seen == expected
        prune(log, datetime(2100, 1, 1, tzinfo=UTC))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    window=st.builds(
        Window,
        since=st.none() | st.integers(NOON, NOON + 100 * SECOND),
        until=st.none() | st.integers(NOON, NOON + 100 * SECOND),
        label=st.none() | st.sampled_from(SCHEMA.classes),
        model_version=st.none() | st.sampled_from(["1", "2", "3"]),
        min_confidence=st.none() | st.sampled_from([0.5, 0.6, 0.75, 1.0]),
        max_confidence=st.none() | st.sampled_from([0.5, 0.6, 0.75, 1.0]),
    )
)
def test_a_window_means_the_same_rows_in_pages_and_in_figures(log, window):
    if not log.count():
        log.append(entries(100))
    inside = [
        e
        for e in entries(100)
        if (window.since is None or e.time >= window.since)
        and (window.until is None or e.time < window.until)
        and window.label in (None, e.labels[0])
        and window.model_version in (None, e.model_version)
        and (window.min_confidence is None or e.confidences[0] >= window.min_confidence)
        and (window.max_confidence is None or e.confidences[0] <= window.max_confidence)
    ]
    wanted = {name: getattr(window, name) for name in window.__dataclass_fields__}
    assert [row["id"] for row in log.history(1000, **wanted).rows] == [e.id for e in reversed(inside)]
    figures = log.summary(**wanted)
    assert figures["count"] == len(inside)
    assert figures["classes"] == {name: sum(e.labels[0] == name for e in inside) for name in SCHEMA.classes}
    if inside:
        assert figures["mean_confidence"] == pytest.approx(sum(e.confidences[0] for e in inside) / len(inside))
        assert figures["max_duration_ms"] == max(e.duration_ms for e in inside)
        assert figures["p50_duration_ms"] <= figures["p95_duration_ms"] <= figures["max_duration_ms"]
    else:
        assert figures["mean_confidence"] is figures["p95_duration_ms"] is None


@pytest.mark.parametrize("version", ["1", "2", "9"])
def test_a_filtered_page_looks_at_so_many_rows_and_the_search_goes_on(log, monkeypatch, version):
    monkeypatch.setattr("iris_nb.audit.history._SCAN_LIMITS", (3, 4))
    log.append(entries(100))
    seen, sizes, page = [], [], log.history(limit=4, model_version=version)
    while True:
        seen += [row["id"] for row in page.rows]
        sizes.append(len(page.rows))
        if page.next is None:
            break
        page = log.history(limit=4, before=page.next, model_version=version)
    assert seen == [e.id for e in reversed(entries(100)) if e.model_version == version]
    assert max(sizes) <= 4
    assert len(sizes) >= 100 // 7


def test_figures_over_time_add_up_to_the_summary(log):
    log.append(entries(100))
    buckets = log.over_time(NOON, NOON + 100 * SECOND, buckets=7)
    assert [b["time"] for b in buckets][:2] == [NOON, NOON + 14_285_715]
    assert sum(b["count"] for b in buckets) == 100
    for name in SCHEMA.classes:
        assert sum(b["classes"][name] for b in buckets) == log.summary()["classes"][name]
    later = log.over_time(NOON + 1000 * SECOND, NOON + 1100 * SECOND, buckets=3)
    assert [b["count"] for b in later] == [0, 0, 0]


@pytest.mark.parametrize(
    "window",
    [{}, {"until": NOON + 90 * SECOND}, {"since": NOON + 9 * SECOND}, {"label": "x"}, {"since": 1, "label": "x"}],
)
def test_every_page_is_found_by_the_index_between_two_ends(tmp_path, window):
    with AuditLog.open(tmp_path / "audit.db") as log:
        log.append(entries(100))
        asked, plans = [], []
        log.ask = lambda query, ask=log.ask: (asked.append(query), ask(query))[1]
        log.history(10, before=f"{NOON + 95 * SECOND}-96-100", **window)
        for query in asked:
            compiled = query.compile(log.engine, compile_kwargs={"literal_binds": True})
            with log.engine.connect() as connection:
                plans.append([row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}"))])
    assert plans
    for first, *others in plans:
        assert "since" not in window or first.endswith("INDEX rows_by_time (time>? AND time<?)")
        assert first.endswith("time<?)")
        assert all(step.startswith("SEARCH") for step in others)


@pytest.mark.parametrize("cursor", ["page 2", "1-2", "1-2-3-4", "-1-2-3", "1-2-" + "9" * 30, "１-2-3", "1-2-3\n"])
def test_what_is_no_cursor_is_said_to_be_none(log, cursor):
    with pytest.raises(ValueError, match="no cursor"):
        log.history(before=cursor)


def test_what_is_not_in_the_log_is_not_found(log):
    assert log.get("nobody") is None
    assert log.latest() == []
    assert log.summary()["count"] == 0


# Labels


def test_a_label_travels_with_its_prediction(log):
    log.append(entries(2))
    log.label("id-000001-00000", SCHEMA.classes[2])
    assert log.get("id-000001-00000")["true_label"] == SCHEMA.classes[2]
    assert [row["true_label"] for row in log.latest(2)] == [SCHEMA.classes[2], None]


def test_the_same_label_twice_is_one_label(log):
    log.append(entries(1))
    for _ in range(2):
        log.label("id-000000-00000", SCHEMA.classes[1])
    assert len(log.ask(select(log.labels))) == 1


def test_a_second_different_label_is_a_conflict_unless_it_corrects(log):
    first, second = SCHEMA.classes[:2]
    log.append(entries(1))
    log.label("id-000000-00000", first)
    with pytest.raises(AuditConflict, match=f"has the label {first} already"):
        log.label("id-000000-00000", second)
    assert log.get("id-000000-00000")["true_label"] == first
    log.label("id-000000-00000", second, correct=True)
    assert log.get("id-000000-00000")["true_label"] == second
    assert [row.true_label for row in log.ask(select(log.labels).order_by(log.labels.c.number))] == [first, second]


def test_a_label_for_nothing_or_of_no_class_is_refused(log):
    log.append(entries(1))
    with pytest.raises(AuditMissing, match="no prediction with the id 'nobody'"):
        log.label("nobody", SCHEMA.classes[0])
    with pytest.raises(ValueError, match="The true class is one of"):
        log.label("id-000000-00000", "rose")


# The chain


TEXTS = "id", "request_id", "label", "probabilities", "model_name", "model_version", "caller"
NUMBERS = "first", "time", "confidence", "duration_ms", *SCHEMA.names


@pytest.mark.parametrize("column", [*TEXTS, *NUMBERS])
def test_a_change_in_any_column_is_found_and_its_row_named(log, column):
    log.append([*entries(12), entry(12, rows=5)])
    where = log.rows if column in log.rows.c else log.requests
    with log.engine.connect() as connection:
        begin_exclusive(connection)
        change = update(where).where(where.c.get("seq", where.c.first) == 13)
        connection.execute(change.values({column: "[0.1]" if column in TEXTS else 7}))
        connection.commit()
    verdict = verify(log)
    assert not verdict.sound
    assert "row 13 was changed" in str(verdict)


def test_a_request_that_was_removed_is_found_at_its_first_row(log):
    log.append([*entries(12), entry(12, rows=5)])
    tamper(log, "DELETE FROM requests WHERE first = 13")
    assert "row 13 was changed" in verify(log).sentence


def test_a_row_that_was_changed_with_its_check_is_found_in_its_request(log):
    log.append([*entries(12), entry(12, rows=5), entry(13)])
    tamper(log, "UPDATE rows SET confidence = 0.123 WHERE seq = 15")
    assert verify(log).sentence == "The log was tampered with: row 15 was changed."
    found = [
        pack(tuple(row)) for row in log.ask(select(log.rows).where(log.rows.c.first == 13).order_by(log.rows.c.seq))
    ]
    tamper(log, "UPDATE requests SET checks = :checks WHERE first = 13", checks=row_checksums(found))
    assert "row 13 was changed (or one up to row 17 with its check, or row 12 together" in verify(log).sentence


def test_a_digest_that_was_mended_is_found_at_the_next_request(log):
    log.append(entries(20))
    tamper(log, "UPDATE requests SET digest = :digest WHERE first = 13", digest=bytes(32))
    assert "row 13 was changed" in verify(log).sentence
    tamper(log, "UPDATE rows SET confidence = 0.123 WHERE seq = 13")
    row = pack(tuple(log.ask(select(log.rows).where(log.rows.c.seq == 13))[0]))
    before, request = log.ask(select(log.requests).where(log.requests.c.first.in_([12, 13])))
    forged = (*tuple(request)[:-2], row_checksums([row]))
    digest = chain_digest(before.digest, forged, [row])
    change = "UPDATE requests SET checks = :checks, digest = :digest WHERE first = 13"
    tamper(log, change, checks=forged[-1], digest=digest)
    assert "row 14 was changed (or row 13 together with its digest)" in verify(log).sentence


@pytest.mark.parametrize("checks", [b"", bytes(3), bytes(20), bytes(99)])
def test_checks_that_were_changed_are_found(log, checks):
    log.append([entry(0, rows=5), entry(1)])
    tamper(log, "UPDATE requests SET checks = :checks WHERE first = 1", checks=checks)
    assert "row 1 was changed" in verify(log).sentence


def test_a_row_that_was_removed_from_the_end_of_a_request_is_named(log):
    log.append([entry(0, rows=5), entry(1)])
    tamper(log, "DELETE FROM rows WHERE seq = 5")
    assert verify(log).sentence == "The log was tampered with: row 5 was removed."


@pytest.mark.parametrize("seq", [1, 7, 20])
def test_a_row_that_was_removed_is_named(log, seq):
    log.append(entries(20))
    tamper(log, "DELETE FROM rows WHERE seq = :seq", seq=seq)
    assert f"row {seq} was removed" in verify(log).sentence


def test_an_emptied_log_is_not_an_empty_log(log):
    log.append(entries(20))
    tamper(log, "DELETE FROM rows")
    assert "row 1 was removed, and all that came after it" in verify(log).sentence


def test_rows_that_changed_places_are_found(log):
    log.append(entries(20))
    for old, new in ((4, 1000), (9, 4), (1000, 9)):
        tamper(log, "UPDATE rows SET seq = :new WHERE seq = :old", old=old, new=new)
    assert "row 4 was changed" in verify(log).sentence


def test_a_row_that_was_added_by_hand_is_named(log):
    log.append(entries(20))
    copied = dict(log.ask(select(log.rows).where(log.rows.c.seq == 20))[0]._mapping)
    with log.engine.connect() as connection:
        begin_exclusive(connection)
        connection.execute(log.rows.insert().values(copied | {"seq": 21}))
        connection.commit()
    assert "row 21 was added behind the log's back" in verify(log).sentence


def test_a_head_that_was_moved_back_is_held_to_the_one_that_was_noted(log):
    log.append(entries(20))
    noted = verify(log).head
    log_19 = log.ask(select(log.predictions).where(log.predictions.c.seq == 19))[0]
    tamper(log, "DELETE FROM rows WHERE seq > 19")
    tamper(log, "UPDATE chain SET seq = 19, digest = :digest", digest=log_19.digest)
    assert "row 20 was added behind the log's back" in verify(log).sentence  # its request is still there
    tamper(log, "DELETE FROM requests WHERE first > 19")
    assert verify(log).sound  # the limit of what a log can know of itself
    assert verify(log, noted).sentence == "Row 20 was removed: the log once reached row 20."
    log.append([entry(99)])
    assert "written anew: row 20 is not the one that was noted" in verify(log, noted).sentence


def test_a_witness_in_the_middle_of_a_request_does_not_pass(log):
    log.append([entry(0, rows=5), entry(1)])
    assert "row 3 is not the one that was noted" in verify(log, f"3:{bytes(32).hex()}").sentence


def test_a_changed_head_is_found(log):
    log.append(entries(20))
    tamper(log, "UPDATE chain SET digest = :digest", digest=bytes(32))
    assert "the head was changed" in verify(log).sentence


def test_rows_that_arrive_during_a_check_are_no_trouble(place, log):
    log.append(entries(10))
    ends = log.ends
    log.ends = lambda: (found := ends(), log.append([entry(found.seq + 100)]))[0]
    assert verify(log).sentence == "All 10 rows are as they were written."


def test_an_empty_log_is_sound(log):
    assert verify(log).sentence == "All 0 rows are as they were written."


# Upkeep


def test_pruning_removes_the_oldest_rows_with_their_labels_and_the_rest_still_proves_itself(log):
    log.append(entries(100))
    log.label("id-000010-00000", SCHEMA.classes[0])
    log.label("id-000090-00000", SCHEMA.classes[0])
    noted = verify(log).head
    assert prune(log, datetime.fromtimestamp(NOON // SECOND + 60, UTC)) == 60
    assert (log.count(), log.get("id-000059-00000"), log.get("id-000060-00000")["seq"]) == (40, None, 61)
    assert [row.seq for row in log.ask(select(log.labels))] == [91]
    assert verify(log, noted).sentence == "All 40 rows are as they were written; 60 before them were pruned."
    log.append(entries(110, 100))
    assert log.get("id-000109-00000")["seq"] == 110
    tamper(log, "UPDATE rows SET label = 'x' WHERE seq = 61")
    assert "row 61 was changed" in verify(log).sentence


def test_pruning_takes_whole_requests(log):
    log.append([entry(0, rows=30), entry(1, rows=30), entry(2)])
    log.label("id-000001-0000a", SCHEMA.classes[0])
    assert _prune_chunk(log, NOON + SECOND, rows=40) == 30
    assert (log.get("id-000000-00009"), log.get("id-000001-0000a")["seq"]) == (None, 41)
    assert _prune_chunk(log, NOON + 2 * SECOND, rows=20) == 30
    assert [row.first for row in log.ask(select(log.requests))] == [61]
    assert verify(log).sentence == "All 1 rows are as they were written; 60 before them were pruned."
    assert prune(log, datetime(2100, 1, 1, tzinfo=UTC)) == 1
    assert log.ask(select(log.requests)) == log.ask(select(log.labels)) == []


def test_pruning_everything_leaves_a_log_that_goes_on(log):
    log.append(entries(10))
    assert prune(log, datetime(2100, 1, 1, tzinfo=UTC)) == 10
    assert log.count() == 0
    log.append(entries(12, 10))
    assert verify(log).sentence == "All 2 rows are as they were written; 10 before them were pruned."


def test_pruning_in_the_middle_of_a_check_is_no_theft(log):
    log.append(entries(100))
    ask, pruned = log.ask, []

    def ask_and_prune(query):
        if "anchor" not in str(query) and not pruned:
            pruned.append(prune(log, datetime.fromtimestamp(NOON // SECOND + 60, UTC)))
        return ask(query)

    log.ask = ask_and_prune
    assert verify(log).sentence == "All 40 rows are as they were written; 60 before them were pruned."


def test_a_backup_made_while_rows_arrive_is_a_sound_log(tmp_path):
    with AuditLog.open(tmp_path / "audit.db", sync="normal") as log:
        log.append(entries(2000))
        done = threading.Event()

        def write() -> None:
            for start in range(2000, 100_000, 20):
                if done.is_set():
                    return
                log.append(entries(start + 20, start))

        writer = threading.Thread(target=write)
        writer.start()
        try:
            copied = backup(log, tmp_path / "copy.db")
        finally:
            done.set()
            writer.join()
        with AuditLog.open(copied) as copy:
            assert 2000 <= copy.count() <= log.count()
            assert verify(copy).sound
            copy.append([entry(10**6)])
    assert not list(tmp_path.glob("*.part"))


def test_a_backup_does_not_overwrite(tmp_path):
    with AuditLog.open(tmp_path / "audit.db") as log, pytest.raises(AuditError, match="already: name another"):
        backup(log, tmp_path / "audit.db")


def test_a_backup_of_a_server_is_left_to_its_own_tools(place, log, tmp_path):
    if log.engine.dialect.name == "sqlite":
        pytest.skip("a file is copied")
    with pytest.raises(AuditError, match="use pg_dump"):
        backup(log, tmp_path / "copy.db")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_an_export_holds_every_row_and_column(log, tmp_path, ending):
    import pandas as pd

    log.append(entries(60))
    log.label("id-000003-00000", SCHEMA.classes[0])
    target = tmp_path / f"rows.{ending}"
    assert export(log, target) == 60
    frame = pd.read_csv(target, dtype={"model_version": str}) if ending == "csv" else pd.read_parquet(target)
    assert set(frame.columns) == {*log.get("id-000003-00000")} - {"labelled"}
    assert frame["id"].tolist() == [e.id for e in entries(60)]
    assert frame[SCHEMA.names[0]].tolist() == [e.features[0][0] for e in entries(60)]
    assert pd.to_datetime(frame["time"]).iloc[1] == pd.Timestamp(NOON + SECOND, unit="us", tz="UTC")
    assert frame["true_label"].dropna().tolist() == [SCHEMA.classes[0]]
    assert frame["digest"].iloc[5] == log.get("id-000005-00000")["digest"]
    assert export(log, target, Window(since=NOON + 50 * SECOND)) == 10


def test_an_export_that_fails_leaves_the_old_one(log, tmp_path):
    target = tmp_path / "rows.csv"
    target.write_text("old")
    with pytest.raises(AuditError, match="export .*\\.csv or \\.parquet"):
        export(log, tmp_path / "rows.xlsx")
    log.append(entries(1))
    tamper(log, "DROP VIEW predictions")
    with pytest.raises(AuditError):
        export(log, target)
    assert [path.name for path in tmp_path.glob("rows*")] == ["rows.csv"]
    assert target.read_text() == "old"


def test_nothing_heavy_is_loaded_with_the_log():
    code = "import sys, iris_nb.audit.log, iris_nb.audit.maintenance; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"pandas", "pyarrow", "numpy", "litestar", "mlflow"} & set(loaded.stdout.split())


def test_a_closed_log_leaves_no_files_of_its_own_behind(tmp_path):
    with AuditLog.open(tmp_path / "audit.db") as log:
        log.append(entries(5))
    assert [path.name for path in tmp_path.iterdir()] == ["audit.db"]
    with sqlite3.connect(tmp_path / "audit.db") as plain:
        assert plain.execute("SELECT count(*) FROM predictions").fetchone() == (5,)
    plain.close()
