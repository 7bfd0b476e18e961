"A training set holds what was known at a moment, nothing later, and is proven by making it again."

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import func, select, update

from iris_nb.audit.log import AuditLog, Entry
from iris_nb.examples import HOUSES, PEOPLE, houses, people
from iris_nb.retrain import commands
from iris_nb.retrain.training_set import (
    DatasetError,
    Query,
    held_path,
    labelled_rows,
    provenance_path,
    read_provenance,
    set_faults,
    training_set,
    write_set,
)
from iris_nb.schema import Schema
from iris_nb.train.data import data_hash, read_table

RED, BLUE = PEOPLE.classes
PERSON = [1.7, 70.0]


def answer(log: AuditLog, schema: Schema, rows: list[list[object]], time: int, caller: str | None = "shop") -> None:
    "Log one request of some rows."
    k = len(schema.classes)
    log.append(
        [
            Entry(
                f"019de368-f600-7000-8000-{log.count():07x}00000", "r", time, "rule", "1", 1.0, caller, rows,
                [schema.classes[0]] * len(rows), [1 / k] * len(rows), [[1 / k] * k] * len(rows),
            )
        ]
    )  # fmt: skip


def label(log: AuditLog, seq: int, name: str, time: int) -> None:
    "Label a row as if it had happened at another time."
    rows = log.database.predictions.c
    id = log.database.fetch(select(rows.id).where(rows.seq == seq))[0].id
    log.label(id, name, correct=True)
    labels = log.database.labels
    newest = select(func.max(labels.c.number)).scalar_subquery()
    with log.database.engine.begin() as connection:
        connection.execute(update(labels).where(labels.c.number == newest).values(labelled=time))


@pytest.mark.parametrize("lot", range(3))
def test_as_of_any_moment_nothing_is_seen_that_was_recorded_later(place: str, lot: int):
    rng, rows, history = np.random.default_rng(lot), 0, list[tuple[int, int, str]]()
    times = dict[int, int]()
    with AuditLog.open(place, PEOPLE) as log:
        for now in range(10, 300, 10):
            if rows == 0 or rng.random() < 0.4:
                size = int(rng.integers(1, 4))
                answer(log, PEOPLE, [[1.0 + (rows + i) / 1000, 70.0] for i in range(size)], now)
                times |= {rows + i + 1: now for i in range(size)}
                rows += size
                continue
            seq, name = int(rng.integers(1, rows + 1)), str(rng.choice(PEOPLE.classes))
            valid = [team for _, other, team in history if other == seq][-1:]
            if valid != [name]:
                label(log, seq, name, now)
                history.append((now, seq, name))
        for moment in range(5, 310, 5):
            known = {seq: name for now, seq, name in history if now <= moment}
            expected = {seq: name for seq, name in known.items() if times[seq] <= moment}
            found = labelled_rows(log.database, Query(moment))
            assert dict(zip(found["seq"], found["team"], strict=True)) == expected
            assert (found["height"] == 1.0 + (found["seq"] - 1) / 1000).all()


@pytest.fixture
def log(tmp_path: Path):
    "Twenty people, each answered at 1,000 times its number and labelled 500 later."
    with AuditLog.open(tmp_path / "audit.db", PEOPLE) as log:
        for seq, row in enumerate(people(20, seed=2)[list(PEOPLE.names)].to_numpy().tolist(), 1):
            answer(log, PEOPLE, [row], seq * 1000, "shop" if seq % 4 else None)
            label(log, seq, PEOPLE.classes[seq % 2], seq * 1000 + 500)
        yield log


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_of_any_kinds_is_read_by_training_as_the_very_rows(tmp_path: Path, suffix: str):
    frame = houses(200)
    with AuditLog.open(tmp_path / "audit.db", HOUSES) as log:
        rows = frame[list(HOUSES.names)].astype(object).where(frame[list(HOUSES.names)].notna(), None)
        answer(log, HOUSES, [[getattr(v, "item", lambda v=v: v)() for v in row] for row in rows.to_numpy().tolist()], 1)
        for seq, name in enumerate(frame[HOUSES.target][:60], 1):
            label(log, seq, name, 2)
        made = training_set(log.database, Query(3))
    write_set(made, file := tmp_path / f"houses.{suffix}")
    again = read_table(file, HOUSES)
    assert data_hash(again, HOUSES) == made.provenance.data_hash == data_hash(frame[:60], HOUSES)


def test_the_newest_rows_are_held_out_and_caps_spare_them(log: AuditLog):
    made = training_set(log.database, Query(10**6, holdout=0.25, cap_class=4, cap_caller=9))
    assert made.held["seq"].tolist() == [16, 17, 18, 19, 20]
    assert made.train["team"].value_counts().to_dict() == {RED: 4, BLUE: 4}
    assert (made.train["caller"] == "shop").sum() <= 9
    assert made.train["seq"].max() == 15


def test_a_caller_without_a_key_is_capped_too(log: AuditLog):
    made = training_set(log.database, Query(10**6, cap_caller=2))
    assert made.train["caller"].isna().sum() == 2
    assert len(made.train) == 4


def test_a_window_begins_with_its_first_moment(log: AuditLog):
    assert labelled_rows(log.database, Query(10**6, since=18_000))["seq"].tolist() == [18, 19, 20]


def test_a_row_that_is_dated_after_the_moment_is_not_seen_though_its_label_is_older(log: AuditLog):
    answer(log, PEOPLE, [PERSON], 40_000)
    label(log, 21, RED, 30_000)
    assert 21 not in set(labelled_rows(log.database, Query(35_000))["seq"])
    assert 21 in set(labelled_rows(log.database, Query(40_000))["seq"])


def test_later_labels_corrections_and_requests_leave_a_set_proven(log: AuditLog):
    noted = training_set(log.database, Query(15_500)).provenance
    label(log, 1, PEOPLE.classes[0], 16_000)
    answer(log, PEOPLE, [PERSON], 15_499)
    label(log, 21, RED, 15_500)
    assert noted.rows == 15
    assert set_faults(log.database, noted) == []


def test_a_label_that_was_slipped_in_is_found(log: AuditLog):
    noted = training_set(log.database, Query(15_500)).provenance
    label(log, 1, PEOPLE.classes[0], 15_400)
    assert any("Other rows have a label" in fault for fault in set_faults(log.database, noted))


def test_a_changed_row_and_a_broken_chain_are_found(log: AuditLog):
    noted, database = training_set(log.database, Query(15_500)).provenance, log.database
    with database.engine.begin() as connection:
        connection.execute(update(database.rows).where(database.rows.c.seq == 3).values(height=2.0))
        connection.execute(update(database.requests).where(database.requests.c.first == 15).values(digest=bytes(32)))
    faults = set_faults(database, noted)
    assert any("The chain at row 15" in fault for fault in faults)
    assert any("rows to train on" in fault for fault in faults)


def test_nothing_known_at_a_moment_is_a_sentence(log: AuditLog):
    with pytest.raises(DatasetError, match="no prediction up to that moment"):
        training_set(log.database, Query(1))
    with pytest.raises(DatasetError, match="No row of this window had a label"):
        training_set(log.database, Query(1_200))


@pytest.mark.parametrize("wrong", [{"holdout": 1.0}, {"cap_class": 0}, {"cap_caller": -1}])
def test_an_option_without_meaning_is_refused(wrong: dict[str, float]):
    with pytest.raises(DatasetError):
        Query(1, **wrong)


def test_another_kind_of_file_and_a_missing_folder_are_refused(log: AuditLog, tmp_path: Path):
    made = training_set(log.database, Query(10**6))
    with pytest.raises(DatasetError, match="neither"):
        write_set(made, tmp_path / "rows.xlsx")
    with pytest.raises(DatasetError, match="no folder"):
        write_set(made, tmp_path / "nowhere" / "rows.csv")


def test_a_file_without_provenance_proves_nothing(tmp_path: Path):
    with pytest.raises(DatasetError, match="not the provenance"):
        read_provenance(tmp_path / "rows.csv")


def test_the_verb_writes_proves_and_finds(log: AuditLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(commands, "SCHEMA", PEOPLE)
    monkeypatch.setattr(commands, "log_url", lambda: f"sqlite:///{tmp_path}/audit.db")
    monkeypatch.setattr(commands, "home_folder", lambda: tmp_path)
    file = tmp_path / "people.csv"
    made = CliRunner().invoke(commands.dataset, ["-o", str(file), "--holdout", "0.2"])
    assert made.exit_code == 0, made.output
    assert "16 rows to train on" in made.output
    assert "4 held out" in made.output
    assert all(path.is_file() for path in (file, held_path(file), provenance_path(file)))
    proven = CliRunner().invoke(commands.dataset, ["--verify", str(file)])
    assert proven.exit_code == 0
    assert "still gives the same 16 rows" in proven.output
    label(log, 1, PEOPLE.classes[0], 1_600)
    found = CliRunner().invoke(commands.dataset, ["--verify", str(file)])
    assert found.exit_code == 1
    assert "Other rows have a label" in found.output


@pytest.mark.parametrize("words", [[], ["--verify", "a.csv", "-o", "b.csv"], ["-o", "a.csv", "--as-of", "soon"],
                                   ["-o", "a.csv", "--as-of", "2999-01-01"]])  # fmt: skip
def test_words_that_mean_nothing_are_refused(words: list[str]):
    said = CliRunner().invoke(commands.dataset, words)
    assert said.exit_code == 2
    assert "Traceback" not in said.output
