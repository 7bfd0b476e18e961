"""Records of a CSV file: split where they end, and counted twice."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris_nb.files.records import _MAX_HEADER, RecordCounter, TableError, recount, split_header, split_records

soup = st.text(alphabet='a",;\r\n é', max_size=60)
cells = st.text(alphabet='ab",;|\t\r\n é', max_size=8)
sizes = st.integers(1, 40)


def pieces(data, size):
    return iter([data[i : i + size] for i in range(0, len(data), size)])


def records_of(text, delimiter=","):
    return [record for record in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if record]


def count(data, size):
    counter = RecordCounter()
    for piece in pieces(data, size):
        counter.feed(piece)
    return counter.records


@given(soup, sizes, st.sampled_from(",;"))
def test_any_text_is_split_into_the_records_that_pythons_csv_finds(text, size, delimiter):
    data = text.encode()
    if len(records_of(text + "\nx", delimiter)) == len(records_of(text, delimiter)):  # it ends within a quoted cell
        with pytest.raises(TableError, match="does not end"):
            list(split_records(pieces(data, size), delimiter))
        return
    blocks = list(split_records(pieces(data, size), delimiter))
    assert b"".join(block.data for block in blocks) == data
    expected = records_of(text, delimiter)
    assert sum(len(block.lines()) for block in blocks) == len(expected)
    assert [r for block in blocks for r in records_of(block.data.decode(), delimiter)] == expected


@given(
    st.lists(st.lists(cells, min_size=2, max_size=3), max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    sizes,
)
def test_a_written_file_has_as_many_records_by_every_count(rows, end, quoting, size):
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator=end, quoting=quoting).writerows(rows)
    data, expected = file.getvalue().encode(), len(records_of(file.getvalue()))
    assert count(data, size) == expected
    assert sum(len(block.lines()) for block in split_records(pieces(data, size))) == expected


@given(st.lists(st.sampled_from(["1,2", '"a\nb",2', '"a\r\n\r\nb",""', "", '1,"x""y"']), max_size=8), sizes)
def test_a_record_is_named_by_the_line_where_it_begins(records, size):
    text = "".join(f"{record}\n" for record in records)
    expected = [text[:i].count("\n") + 1 for i in starts(records)]
    found = [line for block in split_records(pieces(text.encode(), size)) for line in block.lines().tolist()]
    assert found == expected


def starts(records):
    at = 0
    for record in records:
        if record:
            yield at
        at += len(record) + 1


def test_marks_inside_an_unquoted_cell_are_characters(tmp_path):
    text = 'a,b\n5" pipe,1\n6" pipe,"2\n3"\n'
    assert sum(len(block.lines()) for block in split_records(iter([text.encode()]))) == 3
    (tmp_path / "pipes.csv").write_text(text)
    assert recount(tmp_path / "pipes.csv", ",") == 3


def test_a_cell_without_an_end_is_named_by_its_line():
    with pytest.raises(TableError, match='people.csv, line 3: a cell begins with " in this row and does not end'):
        list(split_records(iter([b'a,b\n1,2\n3,"4\n5,6\n']), path="people.csv"))


def test_a_huge_record_is_named_by_its_line_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr("iris_nb.files.records._MAX_RECORD", 1 << 12)
    read = []

    def endless():
        yield b'a,b\n1,"2'
        for i in range(1000):
            read.append(i)
            yield b"x" * 1024

    with pytest.raises(TableError, match="line 2: a row of more than"):
        list(split_records(endless()))
    assert len(read) < 10


def test_a_byte_that_is_not_utf8_is_named_by_its_line():
    with pytest.raises(TableError, match="line 4: the byte 0xe9 is not UTF-8"):
        list(split_records(iter([b"a,b\n1,2\n1,2\n", b"1,\xe9\n1,2\n"])))


def test_a_header_without_end_is_refused_before_it_fills_the_memory():
    read = []

    def endless():
        while True:
            read.append(1)
            yield b"n" * (1 << 20)

    with pytest.raises(TableError, match="no line end"):
        split_header(endless(), "x.csv")
    assert sum(read) <= (_MAX_HEADER >> 20) + 1
