"""Whole tables from files: values by the feature's name, the same as each kind reads from a single cell."""

import datetime
import gzip
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris_nb.examples import HOUSES, houses
from iris_nb.files.columns import _read_cells, _read_classes, can_hold
from iris_nb.files.frame import CellsError, read_rows
from iris_nb.files.records import TableError
from iris_nb.schema import GAPS, Category, Date, Number, Schema, YesNo
from tests.spellings import spelling

KINDS = [
    *HOUSES.features,
    Category("answer", ("NA", "None", "1"), "Values that look like gaps.", "1"),
    YesNo("sure", "Must be there.", True),
    Date("day", "2000-01-01", "2000-12-31", "A day.", "2000-02-29", missing=True),
    Number("count", "", -2, 2, "A few.", 1, whole=True, missing=True),
]
words = st.one_of(
    spelling,
    st.sampled_from([*GAPS, *(text for kind in KINDS for text in kind.levels), " gas\t", "Gas", "x" * 101, "a\nb"]),
    st.dates().map(str),
    st.sampled_from(["True", "FALSE", "1", "0.0", "yes", "2000-1-1", "2000-02-30", "20000101"]),
)


@given(st.lists(words, max_size=12))
def test_a_column_of_texts_is_read_as_the_kind_reads_each_of_them(texts):
    for kind in KINDS:
        cells = _read_cells(kind, pa.array(texts, pa.string()))
        for i, text in enumerate(texts):
            try:
                value, is_read = kind.parse(text), True
            except ValueError:
                value, is_read = None, False
            is_fit = is_read and kind.accepts(value)
            assert (bool(cells.is_read[i]), bool(cells.is_fit[i])) == (is_read, is_fit), (kind.name, text)
            if is_fit:
                assert np.array_equal(cells.doubles[i], kind.encode(value), equal_nan=True)
                assert np.array_equal(kind.encode(cells.values[i]), kind.encode(value), equal_nan=True)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".csv.gz", ".csv.zst"])
def test_a_file_with_its_own_names_of_columns_gives_back_the_values(tmp_path, suffix):
    known = houses(300)
    theirs = known.rename(columns=dict(zip(HOUSES.names, HOUSES.sources, strict=True)))
    path = tmp_path / f"houses{suffix}"
    if suffix == ".parquet":
        theirs.to_parquet(path)
    else:
        with pa.output_stream(str(path)) as file:  # compressed by its suffix
            file.write(theirs.to_csv(index=False).encode())
    again = read_rows(path, HOUSES)
    assert list(again.columns) == [*HOUSES.names, HOUSES.target]
    assert again.index.name == ("row" if suffix == ".parquet" else "line")
    for kind in HOUSES.features:
        found, expected = ([kind.encode(v) for v in frame[kind.name]] for frame in (again, known))
        assert np.array_equal(found, expected, equal_nan=True)
    assert again[HOUSES.target].tolist() == known[HOUSES.target].tolist()


DAY, NOON = datetime.datetime(2000, 5, 1), datetime.datetime(2000, 5, 1, 12)  # noqa: DTZ001
TYPED = {
    "bools": ("garden", pa.array([True, False, None]), [True, False, None]),
    "nullable ints as yes and no": ("garden", pa.array([1, 0, None]), [True, False, None]),
    "floats as yes and no": ("garden", pa.array([1.0, 0.0, math.nan]), [True, False, None]),
    "dictionary": ("heating", pa.array(["gas", None, "oil"]).dictionary_encode(), ["gas", None, "oil"]),
    "large strings": ("heating", pa.array(["gas", "", "oil"], pa.large_string()), ["gas", None, "oil"]),
    "float32": ("area", pa.array([100.5, 90, 80], pa.float32()), [100.5, 90, 80]),
    "decimal": ("rent", pa.array([900, None, 7], pa.decimal128(9, 2)), [900, math.nan, 7]),
    "nullable ints": ("rooms", pa.array([3, 4, 5], pa.int8()), [3, 4, 5]),
    "whole floats": ("rooms", pa.array([3.0, 4, 5]), [3, 4, 5]),
    "dates": ("built", pa.array([DAY.date()] * 3), ["2000-05-01"] * 3),
    "midnights": ("built", pa.array([DAY] * 3, pa.timestamp("ns")), ["2000-05-01"] * 3),
    "midnights of a zone": ("built", pa.array([DAY] * 3, pa.timestamp("us", "UTC")), ["2000-05-01"] * 3),
    "all missing": ("heating", pa.nulls(3), [None] * 3),
}


@pytest.fixture
def typed(tmp_path):
    def write(name, column):
        table = pa.Table.from_pandas(houses(len(column)), preserve_index=False)
        table = table.set_column(table.schema.get_field_index(name), name, column)
        parquet.write_table(table, tmp_path / "typed.parquet")
        return tmp_path / "typed.parquet"

    return write


@pytest.mark.parametrize("case", TYPED)
def test_a_typed_column_holds_the_values_that_json_would(typed, case):
    name, column, expected = TYPED[case]
    found = read_rows(typed(name, column), HOUSES)[name]
    assert [None if pd.isna(v) else v for v in found] == [None if v is None or v != v else v for v in expected]


HOSTILE_TYPES = {
    "noon": ("built", pa.array([NOON]), 'got "2000-05-01T12:00:00"'),
    "a year after 9999": ("built", pa.array([2**62], pa.timestamp("us")), "row 1: built: expected a date"),
    "two as yes or no": ("garden", pa.array([2]), "row 1: garden: expected true or false, or null, got 2"),
    "bytes": ("heating", pa.array([b"gas"]), "The column heating of .* holds binary"),
    "lists": ("area", pa.array([[1.0]]), r"The column area of .* holds list<.*>, expected numbers"),
    "structs": ("district", pa.array([{"x": 1}]), "The column district of .* holds struct"),
    "bools as numbers": ("rooms", pa.array([True]), "The column rooms of .* holds bool, expected numbers"),
    "text as numbers": ("rooms", pa.array(["3"]), "The column rooms of .* holds string, expected numbers"),
    "dates as numbers": ("rent", pa.array([DAY.date()]), "The column rent of .* holds date32"),
    "durations": ("built", pa.array([datetime.timedelta(1)]), "The column built of .* holds duration"),
    "a gap": ("built", pa.array([None], pa.date32()), None),
    "an infinite number": ("area", pa.array([math.inf]), "row 1: area: expected a number from 10 to 1000 m², got inf"),
    "times of day": ("built", pa.array([datetime.time(1)]), "The column built of .* holds time64"),
}


@pytest.mark.parametrize("case", HOSTILE_TYPES)
def test_a_typed_column_that_is_none_of_the_kind_is_a_sentence(typed, case):
    name, column, said = HOSTILE_TYPES[case]
    if said is None:
        assert read_rows(typed(name, column), HOUSES)[name].isna().all()
        return
    with pytest.raises(TableError, match=said):
        read_rows(typed(name, column), HOUSES)


PAIR = Schema(
    "pair",
    "row",
    (Number("a", "", 0, 10, "A.", 1, column="A (x)"), Category("b", ("p", "q"), "B.", "p")),
    "c",
    ("no", "None"),
)
HOSTILE = {
    "empty": (b"", "it is empty"),
    "only blank lines": (b"\n\n\n", "it is empty"),
    "no header": (b"1,p,no\n2,q,no\n", "begins with a row of values"),
    "other names": (b"x,y\n1,2\n", r"has the columns x, y; the table needs A \(x\), b, c: add"),
    "another spelling": (b"A(x),B,c\n1,p,no\n", r"rename A\(x\) to A \(x\), B to b"),
    "a column twice": (b"a,b,c,z,z\n1,p,no,1,1\n", "more than one column 'z'"),
    "a cell without an end": (b'a,b,c\n1,"p,no\n', 'a cell begins with " in this row and does not end'),
    "too few cells": (b"a,b,c\n1,p\n", "line 2: expected 3 fields, got 2"),
    "too many cells": (b"a,b,c\n1,p,no,4\n1,p,no\n", "line 2: expected 3 fields, got 4"),
    "a word among numbers": (b"a,b,c\ntall,p,no\n", 'line 2: a: expected a number from 0 to 10, got "tall"'),
    "an underscore": (b"a,b,c\n1_0,p,no\n", 'got "1_0"'),
    "infinity": (b"a,b,c\ninf,p,no\n", 'got "inf"'),
    "a thousands separator": (b'a,b,c\n"1,000",p,no\n', 'got "1,000"'),
    "mixed decimal signs": (b"a;b;c\n1,5;p;no\n1.5;p;no\n", 'line 2: a: expected a number from 0 to 10, got "1,5"'),
    "damaged UTF-8": ("a,b,c\n1,é,no\n".encode() + b"1,\xff,no\n", "line 3: the byte 0xff is not UTF-8"),
    "half of UTF-16": ("a,b,c\n".encode("utf-16") + b"x", "begins as UTF-16 text"),
    "a spreadsheet": (b"PK\x03\x04" + bytes(50), "is a zip archive or a spreadsheet"),
    "an old spreadsheet": (b"\xd0\xcf\x11\xe0" + bytes(50), "is a spreadsheet"),
    "Parquet by another name": (b"PAR1\x15" + bytes(50), "name it .parquet"),
    "a torn gzip": (b"\x1f\x8b\x08\x00" + bytes(4), "can't be read"),
    "zeros": (bytes(100), "can't be read|has the columns"),
    "a page of the web": (b"<!DOCTYPE html>\n<html>\n", "has the columns <!DOCTYPE html>"),
    "JSON": (b'{"a": 1, "b": "p"}\n', "has the columns"),
    "a quoted decimal comma": (b'a,b,c\n"1,5",p,no\n', 'line 2: a: expected a number from 0 to 10, got "1,5"'),
    "a percent sign": (b"a,b,c\n5%,p,no\n", 'got "5%"'),
    "a currency": ("a,b,c\n€5,p,no\n".encode(), 'got "€5"'),
    "a plus sign": (b"a,b,c\n+5,p,no\n", r'got "\+5"'),
    "a minus sign of typographers": ("a,b,c\n−1,p,no\n".encode(), 'got "−1"'),
    "digits of another script": ("a,b,c\n١,p,no\n".encode(), 'got "١"'),
    "a leading zero": (b"a,b,c\n05,p,no\n", 'got "05"'),
    "beyond doubles": (b"a,b,c\n1e999,p,no\n", 'got "1e999"'),
    "a blank that does not break": ("a,b,c\n1\u00a0000,p,no\n".encode(), "got \"1.000\""),
    "a wanted column twice": (b"a,a,b,c\n1,1,p,no\n", "more than one column 'a'"),
    "a title above the header": (b"Parts of May\na,b,c\n1,p,no\n", "has the columns Parts of May"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_one_sentence(tmp_path, case):
    data, said = HOSTILE[case]
    (tmp_path / "table.csv").write_bytes(data)
    with pytest.raises(TableError, match=said) as raised:
        read_rows(tmp_path / "table.csv", PAIR)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600


FORGIVEN = {
    "a byte order mark": "\ufeffa,b,c\n1,p,no\n".encode(),
    "UTF-16": "a\tb\tc\n1\tp\tno\n".encode("utf-16"),
    "Latin-1": "a,b,c,café\n1,p,no,é\n".encode("latin-1"),
    "a file column's name": b"A (x),b,c\n1,p,no\n",
    "quoted headers": b'"A (x)","b","c"\r\n"1","p","no"\r\n',
    "semicolons and decimal commas": b"a;b;c\n1,0;p;no\n",
    "bars": b"a|b|c\n1|p|no\n",
    "an unnamed index": b",a,b,c\n0,1,p,no\n",
    "numbered rows of R": b'"a" "b" "c"\n"1" 1 "p" "no"\n'.replace(b" ", b",") + b'"2",1,"p","no"\n',
    "blank lines behind": b"a,b,c\n1,p,no\n\n\r\n\n",
    "columns without names": b"a,b,c,,\n1,p,no,,\n",
    "blanks around": b"a, b, c\n 1 , p , no \n",
    "more columns": b"z,a,b,c\n=1+2,1,p,no\n",
    "the first line of Excel": b"sep=;\r\na;b;c\r\n1;p;no\r\n",
    "mixed ends of lines": b"a,b,c\r\n1,p,no\n1,p,no\r\n",
    "ends of lines of old Macs": b"a,b,c\r1,p,no\r",
    "a row of only empty cells": b"a,b,c\n,,\n1,p,no\n",
}


@pytest.mark.parametrize("case", FORGIVEN)
def test_what_loses_nothing_is_read(tmp_path, case):
    (tmp_path / "table.csv").write_bytes(FORGIVEN[case])
    assert read_rows(tmp_path / "table.csv", PAIR).to_numpy().tolist()[:1] == [[1.0, "p", "no"]]


def test_rows_of_only_empty_cells_are_left_out_and_said(tmp_path):
    (tmp_path / "table.csv").write_text("a,b,c\n1,p,no\n,,\n,q,\n2,q,no\n,,\n")
    found = read_rows(tmp_path / "table.csv", PAIR)
    assert found.index.tolist() == [2, 4, 5]  # a row with any value stays
    assert found.attrs["remarks"] == ["2 rows of only empty cells were left out."]


@pytest.mark.parametrize("text", ["a,b,c", "a,b,c\n", "a,b,c\r\n\r\n"])
def test_a_header_alone_is_a_table_without_rows(tmp_path, text):
    (tmp_path / "table.csv").write_text(text)
    assert read_rows(tmp_path / "table.csv", PAIR).empty


def test_a_parquet_file_without_row_groups_is_a_table_without_rows(tmp_path):
    table = pa.table({"a": pa.array([], pa.float64()), "b": pa.array([], pa.string()), "c": pa.array([], pa.string())})
    parquet.ParquetWriter(tmp_path / "table.parquet", table.schema).close()
    assert parquet.ParquetFile(tmp_path / "table.parquet").num_row_groups == 0
    assert read_rows(tmp_path / "table.parquet", PAIR).empty


NESTED = {
    "lists": ("area", pa.array([[1.0], [2.0]]), "area of .* holds list<element: double>, expected numbers"),
    "structs": ("heating", pa.array([{"a": 1}] * 2), "heating of .* holds struct<a: int64>, expected one of gas"),
    "maps": ("heating", pa.array([[("a", 1)]] * 2, pa.map_(pa.string(), pa.int64())), "holds map<string, int64"),
    "bytes": ("heating", pa.array([b"gas", b"oil"]), "heating of .* holds binary, expected one of gas"),
    "durations": ("area", pa.array([1, 2], pa.duration("s")), "area of .* holds duration"),
    "infinity": ("area", pa.array([math.inf, 50]), "row 1: area: expected a number from 10 to 1000 m², got inf"),
    "times of a day": ("built", pa.array([1, 2], pa.timestamp("s")), 'row 1: built: .*got "1970-01-01T00:00:01"'),
}


@pytest.mark.parametrize("case", NESTED)
def test_a_hostile_column_of_parquet_is_one_sentence(typed, case):
    name, column, said = NESTED[case]
    with pytest.raises(TableError, match=said) as raised:
        read_rows(typed(name, column), HOUSES)
    assert "\n" not in str(raised.value)


def test_a_file_without_a_header_is_read_with_names(tmp_path):
    (tmp_path / "table.data").write_text("1,p,no\n2,q,None\n")
    assert read_rows(tmp_path / "table.data", PAIR, names=["a", "b", "c"])["a"].tolist() == [1, 2]
    with pytest.raises(TableError, match="has 3 columns, but 2 names were given"):
        read_rows(tmp_path / "table.data", PAIR, names=["a", "b"])


def test_a_class_that_looks_like_a_gap_is_a_class(tmp_path):
    (tmp_path / "table.csv").write_text("a,b,c\n1,p,None\n1,p,NA\n1,p,\n")
    found = read_rows(tmp_path / "table.csv", PAIR)["c"].tolist()
    assert found[0] == "None"
    assert pd.isna(found[1])
    assert pd.isna(found[2])


@pytest.mark.parametrize(
    ("column", "classes", "expected"),
    [
        (pa.array([True, False]), ("False", "True"), ["True", "False"]),
        (pa.array([True, False]), ("false", "true"), ["true", "false"]),
        (pa.array([True, False]), ("0", "1"), ["1", "0"]),
        (pa.array(["TRUE", "false"]), ("False", "True"), ["True", "False"]),
        (pa.array([1.0, 0.0]), ("0", "1"), ["1", "0"]),
        (pa.array(["1.0", "0"]), ("0", "1"), ["1", "0"]),
        (pa.array([1, 0], pa.int8()).dictionary_encode(), ("0", "1"), ["1", "0"]),
        (pa.array([1, 0], pa.decimal128(4, 1)), ("0", "1"), ["1", "0"]),
        (pa.array([" é ", "New York"]), ("New York", "é"), ["é", "New York"]),
        (pa.array(["Red", "red"]), ("red", "blue"), ["Red", "red"]),
    ],
)
def test_classes_are_found_however_a_file_types_them(column, classes, expected):
    assert can_hold(None, column.type)
    assert _read_classes(column, classes).tolist() == expected


def test_faulty_cells_leave_a_frame_for_further_checks(tmp_path):
    (tmp_path / "table.csv").write_text("a,b,c\ntall,p,no\n99,r,no\n")
    with pytest.raises(CellsError) as raised:
        read_rows(tmp_path / "table.csv", PAIR)
    assert raised.value.frame["a"].tolist() == [1, 99]


def test_a_packed_file_that_would_fill_a_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("iris_nb.files.records.MAX_UNPACKED", 1 << 20)
    monkeypatch.setattr("iris_nb.files.records.MAX_EXPANSION", 10)
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"a,b,c\n" + b"1,p,no\n" * 400_000))
    with pytest.raises(TableError, match="unpacks to more than"):
        read_rows(tmp_path / "bomb.csv.gz", PAIR)
