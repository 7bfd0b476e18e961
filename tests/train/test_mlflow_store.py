"""What MLflow and its stores report, and what people read instead."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris_nb.config import IrisError
from iris_nb.train.mlflow_store import MissingError, TrackingError, check_database, translate_error

DATABASE = "sqlite:////home/ada/var/mlflow.db"
SERVER = "https://mlflow.example.org"


@pytest.mark.parametrize(
    ("where", "report", "expected"),
    [
        (DATABASE, "(sqlite3.OperationalError) database is locked\n[SQL: SELECT 1]", "in use by another program"),
        (DATABASE, "(sqlite3.DatabaseError) file is not a database", "is not a database. Move it away"),
        (DATABASE, "(sqlite3.DatabaseError) database disk image is malformed", "is damaged"),
        (DATABASE, "(sqlite3.OperationalError) unable to open database file", "can't be opened"),
        (DATABASE, "attempt to write a readonly database", "can't be written to"),
        (
            DATABASE,
            "Detected out-of-date database schema (found version a, but expected b).",
            "mlflow db upgrade sqlite",
        ),
        (DATABASE, "The run 1f must be in the 'active' state. Current state is deleted.", "The run was deleted"),
        (DATABASE, "The experiment 1 must be in the 'active' state.", "The experiment was deleted"),
        (SERVER, "Max retries exceeded (Caused by ReadTimeoutError('Read timed out.'))", "does not answer in time"),
        (SERVER, "NewConnectionError('Connection refused')", "does not answer. Check MLFLOW_TRACKING_URI"),
        (SERVER, "NameResolutionError: Failed to resolve 'mlflow.example.org'", "There is no host"),
        (SERVER, "Max retries exceeded (Caused by ResponseError('too many 503 error responses'))", "with errors"),
        (SERVER, "the response body was not in a valid JSON format. Response body: '<html>'", "a login page"),
        (SERVER, "failed with error code 401 != 200", "MLFLOW_TRACKING_TOKEN"),
        (SERVER, "failed with error code 403 != 200", "does not allow"),
        (SERVER, "failed with error code 404 != 200", "is not MLflow"),
    ],
)
def test_a_report_becomes_a_sentence_that_says_what_to_do(where, report, expected):
    said = translate_error(RuntimeError(report), where)
    assert isinstance(said, IrisError)
    assert expected in str(said)


@given(st.text(), st.sampled_from([DATABASE, SERVER]))
def test_whatever_is_reported_becomes_one_short_line(report, where):
    said = str(translate_error(RuntimeError(report), where))
    assert len(said.splitlines()) == 1
    assert len(said) < 400


def test_what_is_missing_is_told_apart_from_what_is_broken():
    error = RuntimeError("Run with id=1f not found")
    error.error_code = "RESOURCE_DOES_NOT_EXIST"
    assert isinstance(translate_error(error, DATABASE), MissingError)
    assert not isinstance(translate_error(RuntimeError("database is locked"), DATABASE), MissingError)


def test_a_database_that_is_none_is_named_at_once(tmp_path):
    (tmp_path / "text.db").write_text("Buy milk. " * 100)
    (tmp_path / "folder.db").mkdir()
    for name in ("text.db", "folder.db"):
        with pytest.raises(TrackingError, match=name):
            check_database(tmp_path / name)
    check_database(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_database_that_another_program_has_locked_is_said(tmp_path):
    holder = sqlite3.connect(tmp_path / "mlflow.db")
    holder.execute("CREATE TABLE things (a)")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TrackingError, match="in use by another program"):
        check_database(tmp_path / "mlflow.db", patience=0)
    holder.close()
    check_database(tmp_path / "mlflow.db", patience=0)
