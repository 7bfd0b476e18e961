"""A changed, removed or added event or label is found and named, and none is found falsely."""

from datetime import UTC, datetime, timedelta

import pytest

from iris_nb.audit.maintenance import backup, prune, verify
from iris_nb.audit.migrations import MIGRATIONS
from tests.audit.logs import NOON, SCHEMA, SECOND, entries, migrated, open_log, tamper

RED, BLUE = SCHEMA.classes[:2]


@pytest.fixture
def lived(log):
    "A log with rows, labels, a correction and events."
    log.append(entries(6))
    log.events.append("service.start")
    log.label("id-000001-00000", RED, actor="gardener")
    log.label("id-000002-00000", RED)
    log.label("id-000002-00000", BLUE, correct=True)
    log.events.append("service.stop")
    return log


def test_a_log_with_labels_and_events_is_sound(lived):
    found = verify(lived)
    assert found.sound
    assert "Events as they were written, with the labels that they tell of: 5." in found.beside
    kinds = [(e.kind, e.actor) for e in lived.events.list(["label.set", "label.correct"])]
    assert [kind for kind, _ in kinds] == ["label.correct", "label.set", "label.set"]
    assert kinds[-1][1] == "gardener"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("UPDATE events SET actor = 'nobody' WHERE number = 2", "event 2 was changed"),
        ("UPDATE events SET detail = '[]' WHERE number = 1", "event 1 was changed"),
        ("DELETE FROM events WHERE number = 3", "event 3 was removed"),
        ("DELETE FROM events WHERE number = 5", "event 5 was removed, and all that came after it"),
        ("DELETE FROM events", "event 1 was removed"),
        (
            "INSERT INTO events SELECT 6, time, kind, subject, actor, detail, head, head_digest, digest FROM events"
            " WHERE number = 5",
            "event 6 was changed",
        ),
        ("UPDATE chain SET event_digest = digest", "the events were written anew"),
        ("UPDATE labels SET true_label = 'green' WHERE seq = 2", "the label of row 2 was changed"),
        ("UPDATE labels SET labelled = labelled + 1 WHERE seq = 2", "the label of row 2 was changed"),
        ("UPDATE labels SET seq = 4 WHERE seq = 2", "the label of row 2 was changed"),
        ("DELETE FROM labels WHERE seq = 2", "the label of row 2 was removed"),
        ("DELETE FROM labels WHERE number = 3", "the label of row 3 was removed"),
        ("UPDATE labels SET superseded = (number = 3) WHERE seq = 3", "the label of row 3 was exchanged"),
        (
            "INSERT INTO labels SELECT 99, 5, true_label, labelled, superseded FROM labels WHERE seq = 2",
            "the label of row 5 was added behind the log's back",
        ),
    ],
)
def test_what_was_done_to_events_and_labels_is_named(lived, change, sentence):
    if change.startswith("UPDATE labels SET superseded"):
        tamper(lived, "UPDATE labels SET superseded = true WHERE seq = 3")
    tamper(lived, change)
    found = verify(lived)
    assert not found.sound
    assert sentence in found.sentence


def test_rows_that_were_removed_and_written_anew_do_not_fit_the_events(place, lived):
    tamper(lived, "DELETE FROM rows WHERE seq > 3")
    tamper(lived, "DELETE FROM requests WHERE first > 3")
    tamper(lived, "UPDATE chain SET seq = 3, digest = (SELECT digest FROM requests WHERE first = 3)")
    assert "speaks of row 6, and the log ends with row 3" in verify(lived).sentence
    lived.append(entries(10, 6))
    assert "was written when row 6 was another one" in verify(lived).sentence


def moment(i: int) -> datetime:
    return datetime.fromtimestamp((NOON + i * SECOND) / 1e6, UTC)


def test_a_prune_leaves_the_rest_sound_and_is_an_event(lived):
    assert prune(lived, moment(2)) == 2
    assert verify(lived).sound
    (told,) = lived.events.list(["log.prune"])
    assert told.detail["last"] == 2
    lived.label("id-000004-00000", RED)
    assert prune(lived, moment(0) + timedelta(days=1)) == 4
    lived.append(entries(9, 6))
    lived.label("id-000007-00000", RED)
    assert verify(lived).sound


def test_a_beginning_that_was_cut_by_another_hand_is_found(lived):
    lived.append(entries(12, 6))
    tamper(lived, "UPDATE chain SET anchor_seq = 8, anchor_digest = (SELECT digest FROM requests WHERE first = 8)")
    for table, column in (("labels", "seq"), ("rows", "seq"), ("requests", "first")):
        tamper(lived, f"DELETE FROM {table} WHERE {column} <= 8")
    assert "rows up to 8 were removed, and no event tells of a prune" in verify(lived).sentence


def test_a_backup_is_as_sound_as_its_log(lived, tmp_path):
    if lived.database.engine.dialect.name != "sqlite":
        pytest.skip("a file is copied")
    backup(lived, tmp_path / "copy.db")
    with open_log(tmp_path / "copy.db") as copy:
        assert verify(copy) == verify(lived)
        copy.label("id-000004-00000", RED)
        assert verify(copy).sound


def test_labels_from_before_there_were_events_are_counted_and_not_doubted(place, engine):
    migrated(engine, MIGRATIONS[:6])
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO labels (seq, true_label, labelled, superseded) VALUES (1, 'red', 5, false)"
        )
    with open_log(place) as log:
        log.append(entries(2))
        log.label("id-000001-00000", RED)
        found = verify(log)
        assert found.sound
        assert "Labels older than the events, not checked: 1." in found.beside
