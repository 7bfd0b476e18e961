"""Tampering is found and named; backups, exports and prunes lose nothing they should not."""

import csv
import re
import threading
import time
from datetime import UTC, datetime, timedelta

import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from iris_nb.audit.chain import chain_digest, pack, row_checksums
from iris_nb.audit.connection import begin_exclusive
from iris_nb.audit.history import Window
from iris_nb.audit.log import AuditError, AuditLog
from iris_nb.audit.maintenance import _prune_chunk, backup, export, prune, verify
from iris_nb.audit.migrations import CONTEXT
from iris_nb.examples import HOUSES
from tests.audit.logs import NOON, SCHEMA, SECOND, entries, entry, open_log, shape, tamper

TEXTS = "id", "request_id", "label", "probabilities", "model_name", "model_version", "caller"


NUMBERS = "first", "time", "confidence", "duration_ms", *SCHEMA.names


@pytest.mark.parametrize("column", [*TEXTS, *NUMBERS])
def test_a_change_in_any_column_is_found_and_its_row_named(log, column):
    log.append([*entries(12), entry(12, rows=5)])
    where = log.database.rows if column in log.database.rows.c else log.database.requests
    with log.database.engine.connect() as connection:
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
        pack(tuple(row)[:-1])  # without a decision
        for row in log.database.fetch(
            select(log.database.rows).where(log.database.rows.c.first == 13).order_by(log.database.rows.c.seq)
        )
    ]
    tamper(log, "UPDATE requests SET checks = :checks WHERE first = 13", checks=row_checksums(found))
    assert "row 13 was changed (or one up to row 17 with its check, or row 12 together" in verify(log).sentence


def test_a_digest_that_was_mended_is_found_at_the_next_request(log):
    log.append(entries(20))
    tamper(log, "UPDATE requests SET digest = :digest WHERE first = 13", digest=bytes(32))
    assert "row 13 was changed" in verify(log).sentence
    tamper(log, "UPDATE rows SET confidence = 0.123 WHERE seq = 13")
    row = pack(tuple(log.database.fetch(select(log.database.rows).where(log.database.rows.c.seq == 13))[0])[:-1])
    before, request = log.database.fetch(
        select(log.database.requests).where(log.database.requests.c.first.in_([12, 13]))
    )
    shared = tuple(request)[: -2 - len(CONTEXT)]  # without checks, digest and what it was part of
    forged = (*shared, row_checksums([row]))
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
    copied = dict(log.database.fetch(select(log.database.rows).where(log.database.rows.c.seq == 20))[0]._mapping)
    with log.database.engine.connect() as connection:
        begin_exclusive(connection)
        connection.execute(log.database.rows.insert().values(copied | {"seq": 21}))
        connection.commit()
    assert "row 21 was added behind the log's back" in verify(log).sentence


def test_a_head_that_was_moved_back_is_held_to_the_one_that_was_noted(log):
    log.append(entries(20))
    noted = verify(log).head
    log_19 = log.database.fetch(select(log.database.predictions).where(log.database.predictions.c.seq == 19))[0]
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
    ends = log.database.ends
    log.database.ends = lambda: (found := ends(), log.append([entry(found.seq + 100)]))[0]
    assert verify(log).sentence == "All 10 rows are as they were written."


def test_an_empty_log_is_sound(log):
    assert verify(log).sentence == "All 0 rows are as they were written."


def test_pruning_removes_the_oldest_rows_with_their_labels_and_the_rest_still_proves_itself(log):
    log.append(entries(100))
    log.label("id-000010-00000", SCHEMA.classes[0])
    log.label("id-000090-00000", SCHEMA.classes[0])
    noted = verify(log).head
    assert prune(log, datetime.fromtimestamp(NOON // SECOND + 60, UTC)) == 60
    assert (log.count(), log.get("id-000059-00000"), log.get("id-000060-00000")["seq"]) == (40, None, 61)
    assert [row.seq for row in log.database.fetch(select(log.database.labels))] == [91]
    assert verify(log, noted).sentence == "All 40 rows are as they were written; 60 before them were pruned."
    log.append(entries(110, 100))
    assert log.get("id-000109-00000")["seq"] == 110
    tamper(log, "UPDATE rows SET label = 'x' WHERE seq = 61")
    assert "row 61 was changed" in verify(log).sentence


def test_pruning_takes_whole_requests(log):
    log.append([entry(0, rows=30), entry(1, rows=30), entry(2)])
    log.label("id-000001-0000a", SCHEMA.classes[0])
    assert _prune_chunk(log, last=30, rows=40) == 30
    assert (log.get("id-000000-00009"), log.get("id-000001-0000a")["seq"]) == (None, 41)
    assert _prune_chunk(log, last=60, rows=20) == 30
    assert [row.first for row in log.database.fetch(select(log.database.requests))] == [61]
    assert verify(log).sentence == "All 1 rows are as they were written; 60 before them were pruned."
    assert prune(log, datetime(2100, 1, 1, tzinfo=UTC)) == 1
    assert log.database.fetch(select(log.database.requests)) == log.database.fetch(select(log.database.labels)) == []


def test_pruning_everything_leaves_a_log_that_goes_on(log):
    log.append(entries(10))
    assert prune(log, datetime(2100, 1, 1, tzinfo=UTC)) == 10
    assert log.count() == 0
    log.append(entries(12, 10))
    assert verify(log).sentence == "All 2 rows are as they were written; 10 before them were pruned."


def test_pruning_in_the_middle_of_a_check_is_no_theft(log):
    log.append(entries(100))
    ask, pruned = log.database.fetch, []

    def ask_and_prune(query):
        if "anchor" not in str(query) and not pruned:
            pruned.append(True)
            prune(log, datetime.fromtimestamp(NOON // SECOND + 60, UTC))
        return ask(query)

    log.database.fetch = ask_and_prune
    assert verify(log).sentence == "All 40 rows are as they were written; 60 before them were pruned."


def test_a_backup_made_while_rows_arrive_is_a_sound_log(tmp_path):
    with open_log(tmp_path / "audit.db", sync="normal") as log:
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
        with open_log(copied) as copy:
            assert 2000 <= copy.count() <= log.count()
            assert verify(copy).sound
            copy.append([entry(10**6)])
    assert not list(tmp_path.glob("*.part"))


def test_a_backup_does_not_overwrite(tmp_path):
    (tmp_path / "notes.db").write_text("mine")
    with open_log(tmp_path / "audit.db") as log:
        with pytest.raises(AuditError, match="already: name another"):
            backup(log, tmp_path / "notes.db")
        for name in ("audit.db", "audit.db-wal", "../" + tmp_path.name + "/audit.db-shm"):
            with pytest.raises(AuditError, match="belongs to the audit log itself"):
                backup(log, tmp_path / name)
    assert (tmp_path / "notes.db").read_text() == "mine"


def test_a_backup_of_a_server_is_left_to_its_own_tools(place, log, tmp_path):
    if log.database.engine.dialect.name == "sqlite":
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
    assert export(log, target, Window(since=NOON + 50 * SECOND), overwrite=True) == 10


def test_an_export_that_fails_leaves_the_old_one(log, tmp_path):
    target = tmp_path / "rows.csv"
    target.write_text("old")
    with pytest.raises(AuditError, match="export .*\\.csv or \\.parquet"):
        export(log, tmp_path / "rows.xlsx")
    with pytest.raises(AuditError, match="already: name another"):
        export(log, target)
    log.append(entries(1))
    tamper(log, "DROP TABLE labels")
    with pytest.raises(AuditError):
        export(log, target, overwrite=True)
    assert [path.name for path in tmp_path.glob("rows*")] == ["rows.csv"]
    assert target.read_text() == "old"


# A witness


def forge(log: AuditLog, seq: int) -> None:
    "Remove every row and make the chain begin after `seq`."
    tamper(log, "DELETE FROM rows")
    tamper(log, "DELETE FROM requests")
    values = "seq = :seq, digest = :digest, anchor_seq = :seq, anchor_digest = :digest"
    tamper(log, f"UPDATE chain SET {values}", seq=seq, digest=bytes(32))


def test_a_forged_anchor_is_held_to_the_witness(log):
    log.append(entries(20))
    noted = verify(log).head
    forge(log, 20)
    assert verify(log).sound  # the limit of what a log can know of itself
    verdict = verify(log, noted)
    assert not verdict.sound
    assert "written anew: row 20 was not the one that was noted" in verdict.sentence
    forge(log, 25)
    verdict = verify(log, noted)
    assert not verdict.sound
    assert verdict.sentence.startswith("The log can't be held to row 20 any more: rows up to 25 were pruned.")


def test_a_witness_at_the_anchor_of_an_honest_prune_passes_and_one_below_it_does_not(log):
    log.append(entries(20))
    noted = verify(log).head
    log.append(entries(60, 20))
    assert prune(log, datetime.fromtimestamp(NOON // SECOND + 20, UTC)) == 20
    assert verify(log, noted).sound
    assert prune(log, datetime.fromtimestamp(NOON // SECOND + 21, UTC)) == 1
    assert "can't be held to row 20 any more" in verify(log, noted).sentence
    assert not verify(log, noted).sound
    assert verify(log).sound


def test_a_witness_that_is_none_is_said_to_be_none(log):
    for text_ in ("", "banana", "1:12"):
        with pytest.raises(ValueError, match="no place in a chain"):
            verify(log, text_)


# What lies beside the chain


def replaced_view(log: AuditLog) -> None:
    "Exchange the view for one that shows another class."
    sqlite = "SELECT sql FROM sqlite_master WHERE name = 'predictions'"
    postgres = "SELECT 'CREATE VIEW predictions AS ' || pg_get_viewdef('predictions'::regclass)"
    with log.database.connect() as connection:
        made = connection.scalar(text(sqlite if connection.dialect.name == "sqlite" else postgres))
    tamper(log, "DROP VIEW predictions")
    forged = re.sub(r"(rows|r)\.label\b", "'forged' AS label", made, count=1)
    assert forged != made
    tamper(log, forged)


def test_a_replaced_view_deceives_no_reader_and_is_named(log, tmp_path):
    log.append(entries(3))
    noted = verify(log).head
    replaced_view(log)
    with log.database.connect() as connection:
        assert set(connection.scalars(text("SELECT label FROM predictions"))) == {"forged"}
    assert [row["label"] for row in log.latest(3)] == list(reversed(SCHEMA.classes))
    assert log.get("id-000001-00000")["label"] == SCHEMA.classes[1]
    assert log.summary()["classes"] == dict.fromkeys(SCHEMA.classes, 1)
    export(log, tmp_path / "rows.csv")
    assert "forged" not in (tmp_path / "rows.csv").read_text()
    for witness in (None, noted):
        verdict = verify(log, witness)
        assert not verdict.sound
        assert "the view 'predictions' was changed" in verdict.sentence


def test_a_view_that_is_gone_is_named_and_no_reader_needs_it(log):
    log.append(entries(3))
    tamper(log, "DROP VIEW predictions")
    assert log.get("id-000001-00000")["label"] == SCHEMA.classes[1]
    assert "the view 'predictions' was changed" in verify(log).sentence


TRIGGERS = {
    "sqlite": ["CREATE TRIGGER improve AFTER INSERT ON labels BEGIN UPDATE labels SET true_label = 'red'; END"],
    "postgresql": [
        "CREATE FUNCTION improve() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$",
        "CREATE TRIGGER improve BEFORE INSERT ON labels FOR EACH ROW EXECUTE FUNCTION improve()",
    ],
}


def test_a_trigger_is_named(log):
    log.append(entries(3))
    for statement in TRIGGERS[log.database.engine.dialect.name]:
        tamper(log, statement)
    verdict = verify(log)
    assert not verdict.sound
    assert "a trigger, 'improve', was added to 'labels'; remove it" in verdict.sentence


def test_a_rule_of_a_server_is_named(log):
    if log.database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no rules")
    tamper(log, "CREATE RULE forget AS ON INSERT TO rows DO INSTEAD NOTHING")
    assert "a rule, 'forget', was added to 'rows'" in verify(log).sentence


def test_a_table_that_became_a_view_is_named(log):
    log.append(entries(3))
    tamper(log, "ALTER TABLE labels RENAME TO labels_elsewhere")
    tamper(log, "CREATE VIEW labels AS SELECT * FROM labels_elsewhere")
    assert "'labels' is no table any more" in verify(log).sentence


def test_verifying_leaves_the_database_as_it_was(place, log):
    log.append(entries(3))
    before = shape(log.database.engine)
    with open_log(place, read_only=True) as reader:
        assert verify(reader).sound
    assert shape(log.database.engine) == before


@pytest.mark.parametrize("rows", [0, 2])
def test_a_chain_with_more_or_fewer_than_one_row_is_an_error_that_says_so(log, rows):
    log.append(entries(3))
    tamper(log, "INSERT INTO chain SELECT * FROM chain" if rows else "DELETE FROM chain")
    for use in (log.count, lambda: verify(log), lambda: log.append(entries(4, 3))):
        with pytest.raises(AuditError, match=f"its table `chain` has {rows} rows instead of one. Restore a backup"):
            use()


@pytest.mark.parametrize("first", [-3, 0, 14, 17, 99])
def test_a_request_that_no_row_belongs_to_is_named(log, first):
    log.append([*entries(12), entry(12, rows=5)])
    copied = dict(log.database.fetch(select(log.database.requests).limit(1))[0]._mapping)
    with log.database.engine.connect() as connection:
        begin_exclusive(connection)
        connection.execute(log.database.requests.insert().values(copied | {"first": first, "id": "stray"}))
        connection.commit()
    verdict = verify(log)
    assert not verdict.sound
    assert f"row {first} was added behind the log's back" in verdict.sentence


# Clocks


def test_a_row_from_a_clock_that_ran_ahead_does_not_keep_older_ones_from_going(log):
    now = time.time_ns() // 1000
    log.append([entry(i, time=now + 10**14) for i in range(3)])
    log.append(entries(20, 3))
    log.append([entry(20, time=now + 10**14), entry(21, time=now - 5 * SECOND), entry(22)])
    assert prune(log, datetime.now(UTC) - timedelta(days=1)) == 20
    assert [row["id"] for row in log.history(9).rows] == [f"id-{i:06}-00000" for i in (20, 21, 22)]
    assert verify(log).sound


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ages=st.lists(st.integers(-40, 40), max_size=30))
def test_no_row_goes_that_may_be_younger_than_the_limit(log, ages):
    now, start = time.time_ns() // 1000, log.database.ends().seq
    log.append([entry(start + i, time=now - 10 * SECOND - age * 60 * SECOND) for i, age in enumerate(ages)])
    removed = prune(log, datetime.fromtimestamp(now / SECOND, UTC) - timedelta(minutes=20))
    gone, stayed = ages[:removed], ages[removed:]
    assert not any(0 <= age <= 19 for age in gone)
    before_young = next((i for i, age in enumerate(stayed) if 0 <= age <= 19), len(stayed))
    assert not any(age >= 20 for age in stayed[:before_young])
    prune(log, datetime(2100, 1, 1, tzinfo=UTC))
    assert log.count() == 0


# Spreadsheets


@pytest.mark.parametrize("text_", ["=1+2", "@SUM", "+1-2:A1", "-cmd", "\tx", "\r=1"])
def test_no_cell_of_a_csv_file_is_a_formula(log, tmp_path, text_):
    log.append([entry(0, request_id=text_, caller=text_, model_version="-1")])
    export(log, tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["request_id"] == row["caller"] == f"'{text_}"
    assert row["model_version"] == "-1"
    export(log, tmp_path / "rows.parquet")
    assert pandas.read_parquet(tmp_path / "rows.parquet")["request_id"].tolist() == [text_]


def test_a_target_without_a_folder_is_a_sentence(log, tmp_path):
    with pytest.raises(AuditError, match="There is no folder .*: make it first"):
        export(log, tmp_path / "nowhere" / "rows.csv")


def test_the_log_itself_is_no_target_of_an_export(tmp_path):
    path = tmp_path / "rows.csv"
    with open_log(path) as log:
        log.append(entries(3))
        (tmp_path / "link.csv").symlink_to(path)
        for target in (path, tmp_path / "link.csv"):
            with pytest.raises(AuditError, match="belongs to the audit log itself"):
                export(log, target, overwrite=True)
        assert log.count() == 3


def test_decisions_and_gaps_are_in_the_chain(tmp_path):
    with AuditLog.open(tmp_path / "audit.db", HOUSES) as log:
        first = (90.0, 4, None, "good", "Far Away", True, "1987-05-01", None)
        rows = [first, (42, 2, "oil", "poor", "North", None, "1900-01-01", 9)]
        log.append([entry(0, rows=2, features=rows, labels=["slowly"] * 2, decisions=["quickly", "slowly"])])
        log.append([entry(1, rows=2, features=rows, labels=["slowly"] * 2)])
        assert verify(log).sound
        for change in ("decision = NULL", "decision = 'slowly'", "heating = 'gas'", "district = 'North'"):
            with AuditLog.open(backup(log, tmp_path / f"{change[:12]}{len(change)}.db"), HOUSES) as copy:
                tamper(copy, f"UPDATE rows SET {change} WHERE seq = 1")
                assert "row 1 was changed" in verify(copy).sentence, change
        tamper(log, "UPDATE rows SET decision = 'slowly' WHERE seq = 3")
        assert "row 3 was changed" in verify(log).sentence


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_an_export_holds_values_as_they_were_asked(tmp_path, suffix):
    row = (90.0, 4, None, "good", "Far Away", True, "1987-05-01", 900.5)
    with AuditLog.open(tmp_path / "audit.db", HOUSES) as log:
        log.append([entry(0, features=[row], labels=["slowly"], decisions=["quickly"])])
        export(log, tmp_path / f"log{suffix}")
    found = (pandas.read_csv if suffix == ".csv" else pandas.read_parquet)(tmp_path / f"log{suffix}")
    values = [None if value != value else value for value in found[list(HOUSES.names)].astype(object).iloc[0].tolist()]
    assert values == list(row)
    assert found["decision"].tolist() == ["quickly"]


PLACED = {
    "experiment_name": "spring",
    "experiment_arm": "challenger",
    "experiment_unit": "a1",
    "trace_id": "t1",
    "model_digest": "m1",
}


@pytest.mark.parametrize("column", list(PLACED))
def test_what_a_request_was_part_of_can_not_be_changed_unseen(log, column):
    log.append([entry(0), entry(1, **PLACED), entry(2, trace_id="t2")])
    assert verify(log).sound
    tamper(log, f"UPDATE requests SET {column} = 'other' WHERE first = 2")
    assert "row 2 was changed" in verify(log).sentence


def test_an_export_has_a_column_of_the_context_only_where_it_is_set(log, tmp_path):
    log.append([entry(0), entry(1, trace_id="t1")])
    export(log, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as lines:
        found = list(csv.DictReader(lines))
    assert [row["trace_id"] for row in found] == ["", "t1"]
    assert not set(found[0]) & {"experiment_name", "experiment_arm", "experiment_unit", "model_digest"}
