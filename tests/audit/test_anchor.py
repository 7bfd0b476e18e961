"""A log is held to what was noted elsewhere: a cut end, another log and an older copy are found."""

import shutil
from pathlib import Path

import pytest

from iris_nb.audit.anchor import note_anchor, read_anchors
from iris_nb.audit.log import AuditError
from iris_nb.audit.maintenance import prune, verify
from tests.audit.logs import entries, open_log, tamper
from tests.audit.test_covered import moment


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "anchor.jsonl"


def test_a_log_passes_through_its_anchors_also_after_a_prune(log, file):
    note_anchor(log.database, file)
    for start in (0, 3, 6):
        log.append(entries(start + 3, start))
        log.events.append("service.start")
        note_anchor(log.database, file)
    assert verify(log, anchors=read_anchors(file)).sound
    prune(log, moment(5))
    found = verify(log, anchors=read_anchors(file))
    assert found.sound
    assert "passes through all 4 anchors" in found.beside
    prune(log, moment(100))
    log.append(entries(12, 9))
    assert verify(log, anchors=read_anchors(file)).sound


def test_an_end_that_was_cut_and_written_anew_is_found(log, file):
    log.append(entries(6))
    note_anchor(log.database, file)
    tamper(log, "DELETE FROM rows WHERE seq > 4")
    tamper(log, "DELETE FROM requests WHERE first > 4")
    tamper(log, "UPDATE chain SET seq = 4, digest = (SELECT digest FROM requests WHERE first = 4)")
    assert verify(log).sound
    assert "its end was cut, or an older copy" in verify(log, anchors=read_anchors(file)).sentence
    log.append(entries(10, 7))
    assert verify(log).sound
    assert "row 6 is not the one of the anchor" in verify(log, anchors=read_anchors(file)).sentence


def test_events_that_were_cut_from_the_end_are_found(log, file):
    log.events.append("service.start")
    log.events.append("model.promote")
    note_anchor(log.database, file)
    tamper(log, "DELETE FROM events WHERE number = 2")
    tamper(log, "UPDATE chain SET event = 1, event_digest = (SELECT digest FROM events WHERE number = 1)")
    assert verify(log).sound
    assert "noted event 2, which is gone" in verify(log, anchors=read_anchors(file)).sentence
    log.events.append("service.stop")
    assert "event 2 is not the one of the anchor" in verify(log, anchors=read_anchors(file)).sentence


def test_an_older_copy_and_another_log_are_found(tmp_path, file):
    with open_log(tmp_path / "a.db") as log:
        log.append(entries(3))
    shutil.copy(tmp_path / "a.db", tmp_path / "older.db")
    with open_log(tmp_path / "a.db") as log:
        log.append(entries(6, 3))
        note_anchor(log.database, file)
    with open_log(tmp_path / "older.db") as log:
        assert "an older copy took its place" in verify(log, anchors=read_anchors(file)).sentence
    with open_log(tmp_path / "other.db") as log:
        log.append(entries(20, 10))
        assert "is another log" in verify(log, anchors=read_anchors(file)).sentence


@pytest.mark.parametrize(
    ("text", "complaint"), [(None, "no anchor at"), ("", "holds no anchor"), ("{}", "Line 1 of .* is no anchor")]
)
def test_a_file_without_anchors_is_a_sentence(file, text, complaint):
    if text is not None:
        file.write_text(text)
    with pytest.raises(AuditError, match=complaint):
        read_anchors(file)
