"`iris-nb features`: a file in, values as of any time, and a file out again."

import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from iris_nb.lookup.commands import features, put_file
from iris_nb.lookup.table import FeatureTable, Record, table_path
from tests.lookup.worlds import LOANS


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IRIS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def customers(tmp_path: Path) -> Path:
    path = tmp_path / "customers.csv"
    path.write_text(
        "customer_id,since,loaded,income,rating,note\n"
        "1001,2026-03-01,2026-04-01T12:00:00+02:00,52000,B,a\n"
        "1002,2026-05-01,2026-05-01,7,NA,\n"
    )
    return path


TIMES = {"true_from": "since", "known_at": "loaded"}


def run(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(features, list(map(str, words)))
    assert done.exit_code == code, done.output
    return done.output + (str(done.exception) if done.exception and not done.output else "")


def records(source: str = "customers") -> list:
    with FeatureTable(table_path()) as table:
        return list(table.records(source))


def test_a_file_is_read_as_its_features_are_declared(customers):
    assert put_file(customers, "customers", "customer_id", **TIMES, schema=LOANS, quiet=True) == (2, 2)
    first, second = records()
    assert first.values == {"income": 52_000, "rating": "B", "note": "a"}
    assert second.values == {"income": 7, "rating": None, "note": None}
    assert (first.key, first.known_at - second.known_at) == ("1001", -1_000_000 * 3600 * (29 * 24 + 14))


def test_what_no_request_could_use_never_gets_in(customers):
    customers.write_text("customer_id,income,rating\n1001,-5,B\n1002,much,Z\n,1,A\n")
    with pytest.raises(Exception, match="Nothing was put") as caught:
        put_file(customers, "customers", "customer_id", schema=LOANS, quiet=True)
    for words in ("line 2: income should be a number from 0", "line 3: income", 'got "much"', 'got "Z"', "line 4"):
        assert words in str(caught.value)
    assert records() == []


def test_columns_that_are_missing_are_named_together(customers):
    with pytest.raises(Exception, match="id, then, price per m² are missing"):
        put_file(customers, "districts", "id", true_from="then", schema=LOANS)


def test_values_out_and_in_again_are_the_same(customers, tmp_path):
    put_file(customers, "customers", "customer_id", **TIMES, schema=LOANS, quiet=True)
    for name in ("out.csv", "out.parquet"):
        assert "2 rows written" in run("list", "customers", "-o", tmp_path / name)
        put_file(tmp_path / name, name[4:], "key", "true_from", "known_at", schema=LOANS, quiet=True)
        assert records(name[4:]) == records()


def test_keys_that_parquet_has_as_numbers_are_texts_without_a_point(tmp_path):
    pd.DataFrame({"id": [1001.0, 1002.0], "x": [1, None]}).to_parquet(tmp_path / "t.parquet")
    put_file(tmp_path / "t.parquet", "s", "id", quiet=True)
    assert [(r.key, r.values) for r in records("s")] == [("1001", {"x": 1}), ("1002", {"x": None})]


def test_values_of_several_types_are_text_in_a_file(tmp_path):
    (tmp_path / "t.csv").write_text("id,x\n1,5\n2,five\n3,true\n")
    put_file(tmp_path / "t.csv", "s", "id", quiet=True)
    run("list", "s", "-o", tmp_path / "out.parquet")
    assert pd.read_parquet(tmp_path / "out.parquet")["x"].tolist() == ["5", "five", "true"]


def test_values_are_shown_as_of_a_moment(customers):
    run(
        "put",
        customers,
        "--source",
        "customers",
        "--key",
        "customer_id",
        "--true-from",
        "since",
        "--known-at",
        "loaded",
    )
    found = run("get", "customers", "1001", "1002", "--at", "2026-04-15")
    assert '1001: {"income": 52000.0' in found
    assert "1002: customers knew nothing of it at 2026-04-15T00:00:00Z." in found


def test_sources_are_listed(customers):
    run("put", customers, "--source", "customers", "--key", "customer_id", "--quiet")
    assert "customers: 2 rows of 2 keys" in run("list")


def test_the_same_file_again_is_not_put_twice(customers):
    words = ("put", customers, "--source", "s", "--key", "customer_id", "--true-from", "since", "--known-at", "loaded")
    run(*words)
    assert "0 rows put into s; the other 2 were there already" in run(*words)


def test_a_key_that_nothing_declares_has_to_be_named(customers):
    assert "--key" in run("put", customers, "--source", "elsewhere", code=2)


def test_a_moment_that_is_none_is_refused(customers):
    assert "2026-11-25" in run("get", "s", "k", "--at", "yesterday", code=2)


def test_a_source_and_a_file_go_together():
    assert "together" in run("list", "s", code=2)


@pytest.mark.parametrize(("source", "file", "why"), [("none", "o.csv", "no source"), ("s", "o.xlsx", "neither")])
def test_what_can_not_be_written_is_said_and_leaves_no_file(tmp_path, source, file, why):
    (tmp_path / "t.csv").write_text("id,x\n1,5\n")
    put_file(tmp_path / "t.csv", "s", "id", quiet=True)
    assert why in run("list", source, "-o", tmp_path / file, code=1)
    assert not list(tmp_path.glob("*o.*"))


def test_the_key_is_the_one_that_the_table_declares(customers, monkeypatch):
    from iris_nb.lookup import commands

    monkeypatch.setattr(commands, "SCHEMA", LOANS)
    assert commands._known_key(LOANS, "customers") == "customer_id"
    assert "2 rows put into customers" in run("put", customers, "--source", "customers", "--quiet")


def test_a_moment_that_is_none_is_a_fault_of_its_line(customers):
    customers.write_text("customer_id,since,income,rating\n1001,yesterday,1,A\n")
    with pytest.raises(Exception, match="line 2: since should be a moment such as"):
        put_file(customers, "customers", "customer_id", "since", schema=LOANS, quiet=True)


def test_faults_beyond_the_first_five_are_counted(customers):
    customers.write_text("customer_id,income,rating\n" + "1001,-1,A\n" * 7)
    with pytest.raises(Exception, match="and 2 more. Nothing was put"):
        put_file(customers, "customers", "customer_id", schema=LOANS, quiet=True)


def test_a_source_of_many_rows_is_written_in_parts(tmp_path):
    pd.DataFrame({"id": range(10_001), "x": range(10_001)}).to_parquet(tmp_path / "t.parquet")
    put_file(tmp_path / "t.parquet", "s", "id", quiet=True)
    assert "10,001 rows written" in run("list", "s", "-o", tmp_path / "out.parquet")
    assert sorted(pd.read_parquet(tmp_path / "out.parquet")["x"]) == list(range(10_001))


def test_values_called_as_the_file_s_own_columns_can_not_be_written(tmp_path):
    (tmp_path / "t.csv").write_text("id,known_at\n1,5\n")
    put_file(tmp_path / "t.csv", "s", "id", quiet=True)
    assert "values called known_at" in run("list", "s", "-o", tmp_path / "out.csv", code=1)


@pytest.mark.parametrize("words", [("put", "t.csv", "--source", "s", "--key", "id"), ("list", "s", "-o", "t.csv")])
def test_without_the_packages_for_files_there_is_a_sentence(words, home, monkeypatch):
    with FeatureTable(table_path(), writable=True) as table:
        table.put("s", [Record("k", 0, 0, {"x": 1})])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "iris_nb.files.reader", raising=False)
    assert "pyarrow, which is not installed here" in run(*words, code=1)
    assert '{"x": 1}' in run("get", "s", "k")  # which needs no such package
