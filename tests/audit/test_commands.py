"""`iris-nb audit` answers in sentences and with exit codes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iris_nb.audit.commands import audit
from iris_nb.audit.log import AuditLog
from tests.audit.logs import entries, open_log, tamper


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AuditLog:
    "The log of this environment, with ten rows of 2026; its table is not the project's."
    monkeypatch.setenv("IRIS_HOME", str(tmp_path))
    monkeypatch.delenv("IRIS_DATABASE_URL", raising=False)
    with open_log(tmp_path / "audit.db") as log:
        log.append(entries(10))
        yield log


def run(*words: str) -> Result:
    result = CliRunner().invoke(audit, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_verify_counts_the_rows_and_names_the_head(here):
    done = run("verify")
    assert (done.exit_code, done.output.splitlines()[0]) == (0, "All 10 rows are as they were written.")
    assert done.output.splitlines()[-1].startswith("Head: 10:")


def test_verify_ends_with_1_where_the_witness_was_pruned(here):
    pruned = run("prune", "--older-than", "0", "--yes")
    assert (pruned.exit_code, pruned.output.splitlines()[0]) == (0, "10 rows removed.")
    cut = pruned.output.split()[-1]
    assert run("verify", "--witness", cut).exit_code == 0
    older = run("verify", "--witness", "5:" + "0" * 64)
    assert older.exit_code == 1
    assert "can't be held to row 5 any more" in older.output


def test_a_witness_that_is_empty_is_refused(here):
    done = run("verify", "--witness", "")
    assert done.exit_code == 1
    assert "no place in a chain" in done.output


def test_a_log_without_its_chain_is_a_sentence(here):
    tamper(here, "DELETE FROM chain")
    for words in (["verify"], ["prune", "--older-than", "1", "--yes"], ["export", "rows.csv"]):
        done = run(*words)
        assert done.exit_code == 1
        assert "its table `chain` has 0 rows instead of one" in done.output


@pytest.mark.parametrize("days", ["nan", "NaN", "-1", "1e9", "banana"])
def test_an_age_that_is_none_removes_nothing(here, days):
    done = run("prune", "--older-than", days, "--yes")
    assert done.exit_code == 2
    assert "'--older-than'" in done.output
    assert here.count() == 10


def test_an_export_replaces_a_file_only_when_told_to(here, tmp_path):
    target = tmp_path / "rows.csv"
    target.write_text("mine")
    done = run("export", str(target))
    assert (done.exit_code, target.read_text()) == (1, "mine")
    assert "already" in done.output
    assert run("export", str(target), "--overwrite").exit_code == 0
    assert len(target.read_text().splitlines()) == 11


def test_a_log_that_is_not_there_is_one_sentence_and_pruning_asks_first(tmp_path, monkeypatch):
    monkeypatch.setenv("IRIS_HOME", str(tmp_path))
    monkeypatch.delenv("IRIS_DATABASE_URL", raising=False)
    done = run("verify")
    assert (done.exit_code, "There is no log at" in done.output) == (1, True)
    Path(tmp_path / "audit.db").touch()
    done = CliRunner().invoke(audit, ["prune", "--older-than", "1"], input="n\n")
    assert "for good?" in done.output
    assert (tmp_path / "audit.db").stat().st_size == 0
    done = run("verify")
    assert (done.exit_code, "not begun yet" in done.output) == (1, True)


def test_events_are_listed_as_a_table_and_as_json(here):
    here.events.append("service.start", "model", version="1")
    here.events.append("model.promote", "model", actor="gardener", version="2")
    assert "model.promote" in run("events").output.splitlines()[0]
    assert "gardener" in run("events").output.splitlines()[0]
    (line,) = run("events", "--kind", "service.start", "--json").output.splitlines()
    assert json.loads(line)["detail"] == {"version": "1"}
    assert run("events", "--since", "2999-01-01").output == "No such event.\n"


def test_an_anchor_is_appended_and_the_log_is_held_to_it(here, tmp_path, monkeypatch):
    monkeypatch.setenv("IRIS_AUDIT_ANCHOR", str(tmp_path / "anchor.jsonl"))
    assert "only an anchor or a witness can say" not in run("anchor").output
    assert run("verify").output.splitlines()[1].endswith("The log passes through all 1 anchors.")
    tamper(here, "DELETE FROM rows WHERE seq > 8")
    tamper(here, "DELETE FROM requests WHERE first > 8")
    tamper(here, "UPDATE chain SET seq = 8, digest = (SELECT digest FROM requests WHERE first = 8)")
    found = run("verify")
    assert found.exit_code == 1
    assert "noted row 10, and the log ends with row 8" in found.output
    monkeypatch.delenv("IRIS_AUDIT_ANCHOR")
    unheld = run("verify")
    assert unheld.exit_code == 0
    assert "only an anchor or a witness can say" in unheld.output
    assert run("anchor").exit_code == 2
