"Rows to train on: their features as they were known when each row was asked, by the code of the service."

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from iris_nb.lookup.join import join, needs_join
from iris_nb.lookup.source import SourceError
from iris_nb.lookup.sources import Sources
from iris_nb.lookup.table import FeatureTable, Record
from iris_nb.request import MOMENT, history_schema, parse_moment
from iris_nb.train.data import DataError, check, load, read_table
from tests.lookup.worlds import DAY, LOANS

START = parse_moment("2026-01-01")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    "A home whose customer was rated A, and C from the tenth day on, which became known on the twentieth."
    monkeypatch.setenv("IRIS_HOME", str(tmp_path / "home"))
    with FeatureTable(tmp_path / "home/features.db", writable=True) as table:
        table.put(
            "customers",
            [
                Record("c1", START, START, {"income": 10, "rating": "A"}),
                Record("c1", START + 10 * DAY, START + 20 * DAY, {"income": 20, "rating": "C"}),
            ],
        )
    return tmp_path / "home"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "loans.csv"
    path.write_text(
        "amount,customer_id,district,asked at,outcome\n"
        "500,c1,,2026-01-05,paid\n"
        "600,c1,north,2026-01-15,not paid\n"
        "700,c1,north,2026-01-22T00:00:00Z,paid\n"
    )
    return path


def test_each_row_sees_what_was_known_at_its_moment(file):
    frame = read_table(file, LOANS, fewest=1)
    assert frame.columns.tolist() == [*LOANS.names, "outcome"]
    assert frame["income"].tolist() == [10, 10, 20]
    assert frame["rating"].tolist() == ["A", None, None]  # seven days: on the 15th A is too old, on the 22nd C is
    assert frame["price"].tolist() == [2500, 2500, 2500]
    assert check(frame, LOANS, fewest=1) == []
    assert frame.index.tolist() == [2, 3, 4]


def test_parquet_with_numbers_as_keys_and_timestamps_as_moments_is_joined_too(tmp_path, home):
    with FeatureTable(home / "features.db", writable=True) as table:
        table.put("customers", [Record("7", START, START, {"income": 70, "rating": "B"})])
    moments = pd.to_datetime(["2026-01-02", "2026-01-03 12:00:00"], format="ISO8601")
    rows = {"amount": [500.0, 600.0], "customer_id": [7, 7], "district": ["a", None], "asked at": moments}
    pd.DataFrame({**rows, "outcome": ["paid", "not paid"]}).to_parquet(tmp_path / "loans.parquet")
    assert read_table(tmp_path / "loans.parquet", LOANS, fewest=1)["rating"].tolist() == ["B", "B"]


def test_the_service_gives_the_same_features_at_that_moment(file, home):
    frame = read_table(file, LOANS, fewest=1)
    sources = Sources(LOANS, home / "features.db")
    for row, time in zip(frame.itertuples(index=False), ("2026-01-05", "2026-01-15", "2026-01-22"), strict=True):
        [served] = sources.lookups.complete([(row.amount, "c1", None)], parse_moment(time))
        assert served.row == tuple(row)[:4]
    sources.close()


def test_rows_that_the_service_would_refuse_are_faults_with_their_lines(file):
    file.write_text(file.read_text().replace("600,c1", "600,c9").replace("2026-01-05", "2025-12-31"))
    with pytest.raises(DataError) as caught:
        read_table(file, LOANS, fewest=1)
    assert "line 2: customer_id: expected a key for which customers has income" in str(caught.value)
    assert 'line 3: customer_id: expected a key for which customers has income, got "c9"' in str(caught.value)


def test_a_moment_that_is_none_is_a_fault_of_its_cell(file):
    file.write_text(file.read_text().replace("2026-01-05", "yesterday"))
    with pytest.raises(DataError, match="a moment such as"):
        read_table(file, LOANS, fewest=1)


def test_a_file_that_holds_the_features_is_read_as_it_is(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("amount,income,rating,price,outcome\n500,1,A,2,paid\n600,2,,3,not paid\n")
    assert read_table(path, LOANS, fewest=1)["income"].tolist() == [1, 2]


def test_rows_of_the_project_s_own_loader_are_joined_as_well(file, monkeypatch):
    from iris_nb.files.frame import read_rows
    from iris_nb.train import data

    monkeypatch.setattr(data, "load_rows", lambda: read_rows(file, history_schema(LOANS)))
    assert load(None, LOANS)["income"].tolist() == [10, 10, 20]
    plain = read_rows(file, history_schema(LOANS)).rename(columns={MOMENT: "asked at"})
    monkeypatch.setattr(data, "load_rows", lambda: plain)
    assert load(None, LOANS)["income"].tolist() == [10, 10, 20]


def test_without_a_feature_table_training_says_how_to_make_one(file, home):
    (home / "features.db").unlink()
    with pytest.raises(DataError, match="iris-nb features put"):
        read_table(file, LOANS, fewest=1)


def test_a_feast_server_can_not_be_trained_from(file, monkeypatch):
    monkeypatch.setenv("IRIS_FEATURES_URL", "http://127.0.0.1:9")
    with pytest.raises(DataError, match="get_historical_features"):
        read_table(file, LOANS, fewest=1)


def test_a_column_that_the_keys_are_in_has_to_be_there(file, home):
    sources = Sources(LOANS, home / "features.db")
    frame = pd.DataFrame({"amount": [1.0], "asked at": ["2026-01-05"], "outcome": ["paid"]})
    assert needs_join(frame, LOANS)
    with pytest.raises(SourceError, match="customer_id, district"):
        join(frame, LOANS, sources.lookups)
    sources.close()


def test_many_rows_are_looked_up_in_parts_and_keep_their_order(home):
    sources = Sources(LOANS, home / "features.db")
    count = 25_000
    frame = pd.DataFrame({
        "amount": [float(i) for i in range(count)], "customer_id": "c1", "district": None,
        "asked at": ["2026-01-05" if i % 2 else "2026-01-25" for i in range(count)], "outcome": "paid",
    })  # fmt: skip
    made = join(frame, replace(LOANS, costs=()), sources.lookups)
    sources.close()
    assert made["amount"].tolist() == frame["amount"].tolist()
    assert made["income"].tolist() == [10 if i % 2 else 20 for i in range(count)]
