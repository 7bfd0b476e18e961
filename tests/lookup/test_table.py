"The feature table: what was true and known at a time, whatever the history; all of a put, or nothing."

import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_nb.lookup.source import Found, SourceError
from iris_nb.lookup.table import FeatureTable, Record

TIME = st.integers(0, 30)
RECORD = st.builds(
    lambda key, true_from, delay, x: Record(key, true_from, max(0, true_from + delay), {"x": x}),
    st.sampled_from("abc"),
    TIME,
    st.integers(-3, 25),  # a value may be known before it is true, and long after
    st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5), st.booleans()),
)
HISTORY = st.lists(RECORD, max_size=25, unique_by=lambda r: (r.key, r.true_from, r.known_at))
QUESTION = st.tuples(st.sampled_from("abcd"), st.integers(-2, 60))


@pytest.fixture
def table(tmp_path: Path):
    with FeatureTable(tmp_path / "features.db", writable=True) as made:
        yield made


def plainly(history: list[Record], key: str, time: int) -> Found | None:
    "What was true and known of a key, found by looking at every row."
    known = [r for r in history if r.key == key and r.true_from <= time and r.known_at <= time]
    best = max(known, key=lambda r: (r.true_from, r.known_at), default=None)
    return best and Found(best.values, best.true_from)


@settings(max_examples=150, deadline=None)
@given(HISTORY, st.lists(QUESTION, max_size=30), st.randoms())
def test_as_of_is_what_was_true_and_known_whatever_the_history(tmp_path_factory, history, questions, random):
    arrivals = random.sample(history, len(history))  # rows arrive in any order
    keys, times = [key for key, _ in questions], [time for _, time in questions]
    with FeatureTable(tmp_path_factory.mktemp("t") / "f.db", writable=True) as table:
        table.put("s", arrivals)
        assert table.source("s").as_of(keys, times) == [plainly(history, *question) for question in questions]


@settings(max_examples=60, deadline=None)
@given(HISTORY, QUESTION)
def test_what_arrives_later_changes_no_earlier_answer(tmp_path_factory, history, question):
    key, time = question
    with FeatureTable(tmp_path_factory.mktemp("t") / "f.db", writable=True) as table:
        table.put("s", [r for r in history if r.known_at <= time])
        before = table.source("s").as_of([key], [time])
        table.put("s", history)
        assert table.source("s").as_of([key], [time]) == before


def test_latest_is_as_of_now(table):
    table.put("s", [Record("a", 1, 1, {"x": 1}), Record("a", 5, 5, {"x": 5}), Record("a", 9, 9, {"x": 9})])
    for now in range(12):
        assert table.source("s").latest(["a", "b"], now) == table.source("s").as_of(["a", "b"], [now, now])


def test_sources_know_nothing_of_each_other(table):
    table.put("s", [Record("a", 1, 1, {"x": 1})])
    assert table.source("t").latest(["a"], 5) == [None]


def test_a_put_that_fails_leaves_nothing_behind(table):
    def broken():
        yield Record("a", 1, 1, {"x": 1})
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        table.put("s", broken())
    assert list(table.records("s")) == []
    assert table.put("s", [Record("a", 1, 1, {"x": 1})]) == 1  # and the table can be used


def test_the_same_rows_again_are_not_new(table):
    rows = [Record("a", 1, 1, {"x": 1, "y": None})]
    assert (table.put("s", rows), table.put("s", rows)) == (1, 0)


def test_a_row_that_contradicts_another_is_refused_with_all_of_its_put(table):
    table.put("s", [Record("a", 1, 1, {"x": 1})])
    with pytest.raises(SourceError, match="A correction becomes known later"):
        table.put("s", [Record("b", 1, 1, {"x": 1}), Record("a", 1, 1, {"x": 2})])
    assert [r.key for r in table.records("s")] == ["a"]


def test_a_group_of_any_size_is_one_query(table):
    table.put("s", [Record(str(i), i, i, {"x": i}) for i in range(5000)])
    statements: list[str] = []
    table._connection.set_trace_callback(statements.append)
    found = table.source("s").latest([str(i) for i in range(5000)], 10_000)
    assert [f.values["x"] for f in found] == list(range(5000))
    assert len(statements) == 1


def test_a_lookup_searches_the_primary_key_and_sorts_nothing(table):
    from iris_nb.lookup.table import _AS_OF

    plan = table._connection.execute(f"EXPLAIN QUERY PLAN {_AS_OF}", {"source": "s", "questions": "[]"}).fetchall()
    words = " ".join(row[-1] for row in plan)
    assert "SEARCH features USING PRIMARY KEY" in words
    assert "SCAN features" not in words


def test_keys_are_compared_as_they_are_whatever_they_hold(table):
    keys = ["1", "01", "1.0", "é", "e\u0301", '"', "'; DROP TABLE features", "null", "[1]", "😀"]
    table.put("s", [Record(key, 1, 1, {"key": key}) for key in keys])
    assert [f and f.values["key"] for f in table.source("s").latest(keys, 2)] == keys


def test_several_threads_may_ask_while_another_program_puts(table, tmp_path):
    table.put("s", [Record("a", 1, 1, {"x": 1})])
    answers: list[object] = []
    with FeatureTable(tmp_path / "features.db") as reader, FeatureTable(tmp_path / "features.db", True) as other:
        threads = [threading.Thread(target=lambda: answers.append(reader.as_of("s", ["a"], [5]))) for _ in range(8)]
        other._connection.execute("BEGIN IMMEDIATE")
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        other._connection.execute("ROLLBACK")
    assert answers == [[Found({"x": 1}, 1)]] * 8


def test_a_table_that_is_not_there_says_how_to_make_it(tmp_path):
    with pytest.raises(SourceError, match="iris-nb features put"):
        FeatureTable(tmp_path / "none.db")


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "features.db").write_bytes(b"no database" * 100)
    with pytest.raises(SourceError, match="features.db can't be used"):
        FeatureTable(tmp_path / "features.db", writable=True)


def test_a_reader_can_write_nothing(table, tmp_path):
    with FeatureTable(tmp_path / "features.db") as reader, pytest.raises(SourceError, match="readonly"):
        reader.put("s", [Record("a", 1, 1, {"x": 1})])
    assert sqlite3.connect(tmp_path / "features.db").execute("SELECT count(*) FROM features").fetchone() == (0,)
