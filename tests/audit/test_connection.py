"""The log's files and connections: what is refused, what is survived, and what is noticed."""

import os
import sqlite3
import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text

from iris_nb.audit import connection
from iris_nb.audit.connection import begin_exclusive
from iris_nb.audit.log import AuditError, AuditReplaced
from iris_nb.audit.maintenance import backup, prune, verify
from tests.audit.logs import NOON, SCHEMA, SECOND, entries, entry, open_log, script


def test_a_log_in_memory_is_none():
    with pytest.raises(AuditError, match="needs a file"):
        open_log(":memory:")


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path):
    path = tmp_path / "audit.db"
    path.write_text("Dear diary, today I saw a flower. " * 100)
    with pytest.raises(AuditError, match="is not a SQLite database"):
        open_log(path)


@pytest.mark.parametrize(("sync", "level"), [("full", 2), ("normal", 1)])
def test_sync_decides_how_hard_sqlite_is_pressed(tmp_path, sync, level):
    with open_log(tmp_path / "audit.db", sync=sync) as log, log.database.engine.connect() as connection:
        assert connection.scalar(text("PRAGMA synchronous")) == level
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"


def test_a_locked_log_is_an_error_after_some_patience_and_then_writes_again(log):
    log.append(entries(1))
    with log.database.engine.connect() as other:
        begin_exclusive(other)
        with pytest.raises(AuditError, match="locked by another program and stayed so"):
            log.append(entries(3, 1))
        with pytest.raises(AuditError, match="locked by another program"):
            log.label("id-000000-00000", SCHEMA.classes[0])
        other.rollback()
    log.append(entries(3, 1))
    assert log.count() == 3


def test_a_log_that_was_moved_away_loses_no_row_and_goes_on_when_it_is_back(tmp_path):
    path, kept = tmp_path / "audit.db", tmp_path / "kept.db"
    with open_log(path) as log:
        log.append(entries(2))
        path.rename(kept)
        for _ in range(2):
            with pytest.raises(AuditReplaced, match=r"audit.db is gone: put the file back, or restart"):
                log.append(entries(4, 2))
            with pytest.raises(AuditReplaced, match="is gone"):
                log.count()
        with sqlite3.connect(f"file:{kept}?immutable=1", uri=True) as moved:  # without its write-ahead log
            assert moved.execute("SELECT count(*) FROM rows").fetchone() == (2,)
        moved.close()
        kept.rename(path)
        log.append(entries(4, 2))
        assert log.count() == 4
        assert verify(log).sound


def test_a_log_that_is_closed_after_it_was_moved_away_loses_no_row(tmp_path):
    path, kept = tmp_path / "audit.db", tmp_path / "kept.db"
    with open_log(path) as log:
        log.append(entries(20))
        path.rename(kept)
    with open_log(kept) as log:
        assert (log.count(), verify(log).sound) == (20, True)
    assert not path.exists()


def test_a_new_log_can_begin_where_one_was_moved_away(tmp_path):
    path = tmp_path / "audit.db"
    with open_log(path) as log:
        log.append(entries(2))
        path.rename(tmp_path / "kept.db")
        with pytest.raises(AuditReplaced):
            log.append(entries(4, 2))
    with open_log(path) as log:
        log.append([entry(9)])
        assert log.count() == 1
    with open_log(tmp_path / "kept.db") as log:
        assert (log.count(), verify(log).sound) == (2, True)


@pytest.mark.parametrize("how", ["deleted", "renamed over", "moved"])
def test_a_log_in_whose_place_another_file_was_put_is_refused_until_it_is_opened_anew(tmp_path, how):
    path, copy = tmp_path / "audit.db", tmp_path / "copy.db"
    with open_log(path) as log:
        log.append(entries(2))
        backup(log, copy)
        log.append(entries(4, 2))
        if how == "deleted":
            path.unlink()
            with pytest.raises(AuditReplaced, match="was deleted while it was open: put a backup there"):
                log.append(entries(6, 4))
        elif how == "moved":
            path.rename(tmp_path / "kept.db")
        copy.rename(path)
        before = path.read_bytes()
        for _ in range(3):
            with pytest.raises(AuditReplaced, match="restart the service"):
                log.append(entries(6, 4))
            with pytest.raises(AuditReplaced, match="restart the service"):
                log.get("id-000000-00000")
    assert path.read_bytes() == before
    with open_log(path) as log:  # every row since the backup was still in the write-ahead log, but where it was moved
        log.append([entry(9)])
        assert log.count() == (3 if how == "moved" else 5)
        assert verify(log).sound
    if how == "moved":
        with open_log(tmp_path / "kept.db") as log:
            assert log.count() == 4


def test_a_write_ahead_log_beside_a_backup_that_it_does_not_fit_is_refused(tmp_path):
    path, copy = tmp_path / "audit.db", tmp_path / "copy.db"
    with open_log(path) as log:
        log.append(entries(600))
        backup(log, copy)
        log.append(entries(1200, 600))
        with log.database.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        log.append(entries(1250, 1200))
        copy.rename(path)  # the old file is gone, its write-ahead log stays
        wal = (tmp_path / "audit.db-wal").read_bytes()
    before = path.read_bytes()
    with pytest.raises(AuditError, match=r"audit.db-wal does not belong to .*audit.db: .* move audit.db-wal and"):
        open_log(path)
    assert (tmp_path / "audit.db-wal").read_bytes() == wal
    assert path.read_bytes() == before
    for end in ("wal", "shm"):
        (tmp_path / f"audit.db-{end}").unlink()
    with open_log(path) as log:
        assert (log.count(), verify(log).sound) == (600, True)


@pytest.mark.parametrize("empty", [True, False])
def test_a_write_ahead_log_without_its_file_is_refused_and_stays(tmp_path, empty):
    path, wal = tmp_path / "audit.db", tmp_path / "audit.db-wal"
    with open_log(path) as log:
        log.append(entries(2))
        saved = wal.read_bytes()
    path.unlink()
    wal.write_bytes(saved)
    if empty:
        path.touch()
    for read_only in (False, True):
        with pytest.raises(AuditError, match=r"audit.db-wal, but .* put that file back beside it|no audit log"):
            open_log(path, read_only=read_only)
    assert wal.read_bytes() == saved
    wal.rename(tmp_path / "elsewhere")
    with open_log(path) as log:
        assert log.count() == 0


def test_a_killed_log_is_continued_from_its_write_ahead_log(tmp_path):
    with open_log(tmp_path / "audit.db") as log:
        log.append(entries(600))
        for name in ("audit.db", "audit.db-wal"):
            (tmp_path / f"killed-{name}").write_bytes((tmp_path / name).read_bytes())
    (tmp_path / "killed-audit.db").rename(tmp_path / "killed.db")
    (tmp_path / "killed-audit.db-wal").rename(tmp_path / "killed.db-wal")
    with open_log(tmp_path / "killed.db") as log:
        assert (log.count(), verify(log).sound) == (600, True)


def test_a_log_can_be_opened_while_others_write_and_prune(tmp_path):
    path, stop = tmp_path / "audit.db", threading.Event()
    with open_log(path, sync="normal") as log:
        log.append(entries(100))

        def work() -> None:
            for start in range(100, 10**6, 50):
                if stop.is_set():
                    return
                log.append(entries(start + 50, start))
                if start % 500 == 0:
                    prune(log, datetime.fromtimestamp(NOON // SECOND + start - 200, UTC))

        writer = threading.Thread(target=work)
        writer.start()
        try:
            for _ in range(30):
                with open_log(path) as other:
                    assert other.count() > 0
        finally:
            stop.set()
            writer.join()
        assert verify(log).sound


def test_rows_of_a_removed_write_ahead_log_are_saved_and_the_log_refuses(tmp_path):
    path = tmp_path / "audit.db"
    with open_log(path) as log:
        log.append(entries(20))
        (tmp_path / "audit.db-wal").unlink()
        for _ in range(2):
            with pytest.raises(AuditReplaced, match="write-ahead log .*audit.db-wal was removed .* restart it"):
                log.append([entry(20)])
    with open_log(path) as log:
        assert (log.count(), verify(log).sound) == (20, True)


@pytest.mark.parametrize("size", [0, 5000])
def test_a_write_ahead_log_that_was_cut_short_is_noticed(tmp_path, size):
    path = tmp_path / "audit.db"
    with open_log(path) as log:
        log.append(entries(20))
        with (tmp_path / "audit.db-wal").open("r+b") as wal:
            wal.truncate(size)
        before = path.read_bytes()
        with pytest.raises(AuditReplaced, match="was cut short .* put a backup in place"):
            log.append([entry(20)])
        if not size:
            assert path.read_bytes() == before


def test_the_times_of_the_write_ahead_log_are_not_read_for_a_commit(tmp_path, monkeypatch):
    if not connection._statx:
        pytest.skip("this system has no statx")
    read = []

    def stat(path, *args, **more):
        read.append(os.fsdecode(path))
        return os_stat(path, *args, **more)

    with open_log(tmp_path / "audit.db") as log:
        log.append(entries(20))
        os_stat = os.stat
        monkeypatch.setattr(os, "stat", stat)
        log.append([entry(20)])
        monkeypatch.undo()
    assert not [path for path in read if path.endswith("-wal")]


@pytest.mark.parametrize("how", ["removed", "cut short", "replaced"])
def test_what_happens_to_a_write_ahead_log_is_noticed_without_statx(tmp_path, monkeypatch, how):
    monkeypatch.setattr(connection, "_statx", None)
    wal = tmp_path / "audit.db-wal"
    with open_log(tmp_path / "audit.db") as log:
        log.append(entries(20))
        saved = wal.read_bytes()
        if how == "cut short":
            os.truncate(wal, 5000)
        else:
            wal.rename(tmp_path / "kept")
        if how == "replaced":
            wal.write_bytes(saved)
        with pytest.raises(AuditReplaced, match=how):
            log.append([entry(20)])


def test_a_write_ahead_log_that_was_emptied_by_a_checkpoint_is_no_fault(tmp_path):
    with open_log(tmp_path / "audit.db") as log:
        log.append(entries(20))
        with sqlite3.connect(tmp_path / "audit.db") as other:
            assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
        other.close()
        assert (tmp_path / "audit.db-wal").stat().st_size == 0
        log.append(entries(40, 20))
        assert (log.count(), verify(log).sound) == (40, True)


def test_a_write_ahead_log_that_sqlite_shortens_itself_is_no_fault(tmp_path, monkeypatch):
    monkeypatch.setattr("iris_nb.audit.connection._WAL_LIMIT", 100_000)
    with open_log(tmp_path / "audit.db", sync="normal") as log, log.database.connect() as connection:
        rows = connection.execution_options(yield_per=1).execute(select(log.database.rows))
        for group in range(40):
            log.append(entries(group * 100 + 100, group * 100))
        rows.close()
        connection.rollback()
        largest = (tmp_path / "audit.db-wal").stat().st_size
        with sqlite3.connect(tmp_path / "audit.db") as other:
            other.execute("PRAGMA wal_checkpoint")
        other.close()
        for group in range(40, 60):
            log.append(entries(group * 100 + 100, group * 100))
        assert (tmp_path / "audit.db-wal").stat().st_size < largest
        assert log.count() == 6000


LIMITED = """if True:
    import resource, signal, sys
    from tests.audit.logs import entries, open_log
    from iris_nb.audit.log import AuditError
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open_log(sys.argv[1]) as log:
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


def test_a_closed_log_leaves_no_files_of_its_own_behind(tmp_path):
    with open_log(tmp_path / "audit.db") as log:
        log.append(entries(5))
    assert [path.name for path in tmp_path.iterdir()] == ["audit.db"]
    with sqlite3.connect(tmp_path / "audit.db") as plain:
        assert plain.execute("SELECT count(*) FROM predictions").fetchone() == (5,)
    plain.close()
