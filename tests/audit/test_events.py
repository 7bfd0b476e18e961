"""What happened beside the predictions is kept in order, with who did it."""

import pytest
from sqlalchemy import text

from iris_nb.audit.events import KINDS, system_user
from iris_nb.audit.log import AuditError
from tests.audit.logs import NOON, entries, open_log


def test_events_are_listed_newest_first_with_their_detail(log):
    log.events.append("service.start", "model", version="1")
    log.events.append("model.promote", "model", actor="gardener", version="2", reasons=["better"])
    newest, first = log.events.list()
    assert (newest.number, newest.kind, newest.subject, newest.actor) == (2, "model.promote", "model", "gardener")
    assert newest.detail == {"version": "2", "reasons": ["better"]}
    assert (first.kind, first.actor, first.detail) == ("service.start", system_user(), {"version": "1"})


def test_events_can_be_narrowed_by_kind_and_time(log):
    for kind in ("service.start", "service.stop", "service.start"):
        log.events.append(kind)
    assert [e.number for e in log.events.list(["service.start"])] == [3, 1]
    assert [e.number for e in log.events.list(limit=1)] == [3]
    assert log.events.list(until=NOON) == []
    assert len(log.events.list(since=NOON)) == 3


def test_an_event_names_the_newest_row_of_its_moment(log):
    log.append(entries(3))
    log.events.append("service.stop")
    with log.database.connect() as connection:
        found = connection.execute(text("SELECT head, head_digest FROM events")).one()
    assert (found.head, bytes(found.head_digest).hex()) == (3, log.get("id-000002-00000")["digest"])


def test_two_programs_write_events_without_a_gap(place, log):
    with open_log(place) as other:
        for i in range(6):
            (log, other)[i % 2].events.append("service.start")
    assert [e.number for e in log.events.list()] == [6, 5, 4, 3, 2, 1]


def test_a_kind_that_is_no_pair_of_words_is_refused(log):
    with pytest.raises(ValueError, match="two lower-case words with a dot"):
        log.events.append("Started")
    assert log.events.list() == []


def test_a_reader_can_list_events_and_not_write_them(place, log):
    log.events.append("service.start")
    with open_log(place, read_only=True) as reader:
        assert [e.kind for e in reader.events.list()] == ["service.start"]
        with pytest.raises(AuditError, match="can't be written"):
            reader.events.append("service.stop")


def test_text_that_a_database_can_not_hold_stops_no_event(log):
    log.events.append("key.make", "a\0b" + "x" * 500, actor="c\0", note="d\0e")
    (found,) = log.events.list()
    assert (found.subject[:3], len(found.subject), found.actor, found.detail) == ("abx", 200, "c", {"note": "d\0e"})


def test_each_kind_is_described_by_a_sentence():
    assert all(sentence.endswith(".") for sentence in KINDS.values())
