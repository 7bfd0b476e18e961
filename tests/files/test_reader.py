"""Tables from files: the same rows as Python's csv, and one grammar for values on every way in."""

import csv
import datetime
import decimal
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris_nb.examples import IRIS as SCHEMA
from iris_nb.examples import PEOPLE
from iris_nb.files.columns import can_hold
from iris_nb.files.reader import CsvTable, ParquetTable, open_table
from iris_nb.files.records import TableError
from iris_nb.train.data import DataError, check, read_table
from serve.errors import RequestError
from serve.parsing import BodyParser
from tests.spellings import spelling

NAMES = ["a", "b"]
FIRST = SCHEMA.features[0]
HEIGHT = PEOPLE.features[0]
PARSER = BodyParser(SCHEMA)
cells = st.text(alphabet='ab1",;|\t\r\n é', max_size=8)
rows = st.lists(st.lists(cells, min_size=1, max_size=3), max_size=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reader")


def parsed(table):
    "Every row with its place, and every odd record as a place alone."
    found = []
    for block in table.blocks():
        chunk = table.parse(block)
        columns = [chunk.batch.column(i).to_pylist() for i in range(chunk.batch.num_columns)]
        found += zip(chunk.places().tolist(), map(list, zip(*columns, strict=True)), strict=True)
        found += [(record.place, None) for record in chunk.odd]
    return sorted(found, key=lambda row: row[0])


@given(
    rows,
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"]),
    st.sampled_from(",;\t|"),
    st.integers(3, 64),
)
def test_the_rows_of_a_csv_file_are_those_of_pythons_csv(folder, rows, end, quoting, encoding, delimiter, size):
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows([NAMES, *rows])
    path = folder / "any.csv"
    path.write_bytes(file.getvalue().encode(encoding))
    table = CsvTable(path, size=size)
    found = parsed(table)
    expected = [row for row in csv.reader(io.StringIO(file.getvalue(), newline=""), delimiter=delimiter) if row][1:]
    assert [row for _, row in found] == [row if len(row) == 2 else None for row in expected]
    table.verify(len(expected))
    for wrong in (len(expected) - 1, len(expected) + 1):
        with pytest.raises(TableError, match="rows"):
            table.verify(wrong)


def test_a_cell_of_several_lines_across_two_blocks_invents_no_row(tmp_path):
    path = tmp_path / "lines.csv"
    path.write_text('a,b\n1,2\n3,"x\n9,9\n9,9"\n4,5\n')
    for size in range(3, 40):
        assert [row for _, row in parsed(CsvTable(path, size=size))] == [["1", "2"], ["3", "x\n9,9\n9,9"], ["4", "5"]]


def is_served(text):
    "Whether the service takes a value that is spelled so, by both of its ways to read a body."
    values = {**SCHEMA.example, FIRST.name: text}
    body = "{" + ",".join(f'"{name}": {value}' for name, value in values.items()) + "}"
    try:
        row = PARSER.row(body.encode())
    except RequestError:
        row = None
    fast = PARSER.row_fast(body.encode())
    assert fast is None or fast == row
    return row is not None


@given(st.lists(spelling, min_size=1, max_size=5))
def test_service_scoring_and_training_accept_the_same_values(folder, texts):
    path, others = folder / "values.csv", [str(SCHEMA.example[name]) for name in SCHEMA.names[1:]]
    with path.open("w", newline="", encoding="utf-8") as file:
        header = [*SCHEMA.names, SCHEMA.target]
        csv.writer(file).writerows([header, *([text, *others, SCHEMA.classes[0]] for text in texts)])
    service = [is_served(text) for text in texts]
    (block,) = (table := open_table(path, SCHEMA)).blocks()
    chunk = table.parse(block)
    fit = np.logical_and.reduce([chunk.cells(kind).is_fit for kind in SCHEMA.features])
    assert fit.tolist() == service
    try:
        fit = not any(fault.startswith(FIRST.name) for fault in check(read_table(path, SCHEMA), SCHEMA, fewest=0))
    except DataError as error:
        fit = f"{FIRST.name}: expected" not in str(error)
    assert fit == all(service)


typed = st.sampled_from(
    [
        pa.array([True]),
        pa.array(["1.7"]),
        pa.array(["1.7"]).dictionary_encode(),
        pa.array([datetime.date(2024, 1, 1)]),
        pa.array([datetime.datetime(2024, 1, 1)]),  # noqa: DTZ001
        pa.array([datetime.timedelta(1)]),
        pa.array([b"1.7"]),
        pa.array([[1.7]]),
        pa.array([{"x": 1.7}]),
    ]
)


@given(typed)
def test_what_is_no_number_in_a_parquet_file_is_refused_by_scoring_and_training(folder, column):
    assert not can_hold(HEIGHT, column.type)
    parquet.write_table(pa.table({"height": column, "weight": [70], "team": ["red"]}), folder / "typed.parquet")
    with pytest.raises(TableError, match="The column height of .* holds .*, expected numbers"):
        open_table(folder / "typed.parquet", PEOPLE)
    with pytest.raises(DataError, match="The column height of .* holds .*, expected numbers"):
        read_table(folder / "typed.parquet", PEOPLE)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([decimal.Decimal("1.7")]),
        pa.array([decimal.Decimal("1.70")], pa.decimal256(40, 2)),
        pa.array([1.7]).dictionary_encode(),
        pa.array([1.7], pa.float64()),
    ],
    ids=lambda column: str(column.type),
)
def test_a_number_of_any_type_is_the_number_that_json_writes(tmp_path, column):
    parquet.write_table(pa.table({"height": column, "weight": [70], "team": ["red"]}), tmp_path / "t.parquet")
    (chunk,) = ParquetTable(tmp_path / "t.parquet", PEOPLE).blocks()
    assert chunk.cells(HEIGHT).doubles.tolist() == [1.7]
    assert read_table(tmp_path / "t.parquet", PEOPLE)["height"].tolist() == [1.7]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("Height,Weight", "rename Height to height, Weight to weight."),
        (
            "Id,HeightM,WeightKg",
            "has the columns Id, HeightM, WeightKg; the table needs height, weight: rename HeightM",
        ),
        ('"","Height..m.","Weight"', "rename Height..m. to height, Weight to weight."),
        ("1.7,70,red", "begins with a row of values"),
        ("a,b", "has the columns a, b; the table needs height, weight: add height, weight."),
        ("height,weight,id,id", "more than one column 'id'"),
        ("n" * 200_000 + ",height", "more than 131,072 characters"),
        ("", "it is empty"),
    ],
)
def test_a_header_that_does_not_fit_is_one_sentence_with_what_to_do(tmp_path, header, said):
    path = tmp_path / "t.csv"
    path.write_text(f"{header}\n1.7,70,1,1\n" if header else "")
    with pytest.raises(TableError) as raised:
        open_table(path, PEOPLE)
    assert said in str(raised.value)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("text", ['"","height","weight"\n"1",1.7,70\n', "\ufeffheight,weight\r\n1.7,70\r\n"])
def test_an_index_column_quoted_names_and_a_byte_order_mark_lose_nothing(tmp_path, text):
    (tmp_path / "t.csv").write_text(text, newline="")
    (chunk,) = map((table := CsvTable(tmp_path / "t.csv", PEOPLE)).parse, table.blocks())
    assert [chunk.cells(kind).doubles.tolist() for kind in PEOPLE.features] == [[1.7], [70]]


@pytest.mark.parametrize(
    ("text", "numbers", "remarks"),
    [
        ("height;weight\n1,7;70\n", [1.7], ["Columns are separated by ';'.", "Decimals are written with a comma."]),
        ("height;weight\n1.7;70\n", [1.7], ["Columns are separated by ';'."]),
        ("height\tweight\n1,7\t70\n", [1.7], ["Columns are separated by '\\t'.", "Decimals are written with a comma."]),
        ('height,weight\n"1,7",70\n', [np.nan], []),
        ("height, weight\n1.7, 70\n", [1.7], []),
        (
            "sep=;\nheight;weight\n1,7;70\n",
            [1.7],
            ["Columns are separated by ';'.", "Decimals are written with a comma."],
        ),
        ("height;weight\n1,700;70\n1.7;70\n", [np.nan, 1.7], ["Columns are separated by ';'."]),
    ],
)
def test_delimiter_and_decimal_comma_are_found_and_said(tmp_path, text, numbers, remarks):
    (tmp_path / "t.csv").write_text(text)
    (chunk,) = map((table := CsvTable(tmp_path / "t.csv", PEOPLE)).parse, table.blocks())
    assert np.array_equal(chunk.cells(HEIGHT).doubles, numbers, equal_nan=True)
    assert table.remarks == remarks
    assert chunk.places()[0] == text[: text.index("70")].count("\n") + 1
    table.verify(len(numbers))


def test_many_columns_are_no_quadratic_work(tmp_path):
    names = [*PEOPLE.names, *(f"c{i}" for i in range(20_000))]
    (tmp_path / "wide.csv").write_text(",".join(names) + "\n" + ",".join(["1"] * len(names)) + "\n")
    assert len(parsed(CsvTable(tmp_path / "wide.csv", PEOPLE))) == 1


def test_a_small_parquet_file_with_a_huge_row_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("iris_nb.files.reader._MAX_BYTES", 1 << 16)
    path = tmp_path / "bomb.parquet"
    parquet.write_table(pa.table({"height": [1.7], "weight": [70], "note": ["x" * (1 << 20)]}), path)
    before = pa.total_allocated_bytes()
    with pytest.raises(TableError, match="most of it in the column note"):
        open_table(path, PEOPLE)
    assert pa.total_allocated_bytes() - before < 1 << 20


def test_a_text_that_is_stored_once_for_many_rows_is_decoded_in_small_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("iris_nb.files.reader._MAX_BYTES", 1 << 20)
    path, note = tmp_path / "dictionary.parquet", "x" * (1 << 17)
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 200, pa.int32()), pa.array([note]))
    parquet.write_table(
        pa.table({"height": [1.7] * 200, "weight": [70] * 200, "note": texts}), path, store_schema=False
    )
    table, rows = open_table(path, PEOPLE), 0
    for chunk in table.blocks():
        assert chunk.batch.column("note").type == pa.string()
        assert chunk.batch.nbytes < 1 << 21
        assert chunk.batch.column("note").to_pylist() == [note] * chunk.batch.num_rows
        assert chunk.places()[0] == rows + 1
        rows += chunk.batch.num_rows
    table.verify(200)
    assert rows == 200


def write_bomb(path: Path, rows: int, note: str) -> Path:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([note]))
    parquet.write_table(
        pa.table({"height": [1.7] * rows, "weight": [70] * rows, "note": texts}), path, store_schema=False
    )
    return path


@pytest.mark.parametrize(("rows", "note"), [(1000, "x" * 20_000), (300_000, "x")])
def test_a_small_file_that_would_fill_a_disk_is_refused_in_a_sentence(tmp_path, monkeypatch, rows, note):
    monkeypatch.setattr("iris_nb.files.reader.MAX_UNPACKED", 1 << 22)
    path = write_bomb(tmp_path / "bomb.parquet", rows, note)
    with pytest.raises(TableError, match=r"unpacks to more than 4,194,304 bytes .* most of it in the column"):
        list(open_table(path, PEOPLE).blocks())


def test_a_file_may_unpack_to_a_thousand_times_its_own_size(tmp_path, monkeypatch):
    monkeypatch.setattr("iris_nb.files.reader.MAX_UNPACKED", 1 << 10)
    path = write_bomb(tmp_path / "repeating.parquet", 1000, "x" * 200)
    assert sum(chunk.batch.num_rows for chunk in open_table(path, PEOPLE).blocks()) == 1000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"BZh91AY&SY", "compressed by bzip2: unpack it"),
        (b"PK\x03\x04\x14\x00", "save it as CSV"),
        (b"PAR1\x15\x04", "name it .parquet"),
    ],
)
def test_a_file_that_is_no_text_is_called_what_it_is(tmp_path, content, said):
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(TableError, match=said):
        open_table(tmp_path / "table.csv", PEOPLE)


def test_a_parquet_file_is_forgotten_as_it_is_read(tmp_path):
    path, before = tmp_path / "rows.parquet", pa.total_allocated_bytes()
    noise = pa.table({n: np.random.default_rng(0).uniform(1, 2, 500_000) for n in PEOPLE.names})
    parquet.write_table(noise, path, row_group_size=20_000)
    size = noise.nbytes
    del noise
    for _ in open_table(path, PEOPLE).blocks():
        kept = pa.total_allocated_bytes() - before
    assert kept < size / 4


def test_a_source_says_how_many_rows_it_has_where_that_is_known(tmp_path):
    parquet.write_table(pa.table({"height": [1.7] * 7, "weight": [70] * 7}), tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("height,weight\n1.7,70\n")
    assert open_table(tmp_path / "t.parquet", PEOPLE).rows == 7
    assert open_table(tmp_path / "t.csv", PEOPLE).rows is None
