"The report of an experiment: both arms, the split, the guardrails and the verdict, from what the log holds."

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from iris_nb.audit.connection import begin_exclusive, open_engine, parse_url
from iris_nb.audit.log import AuditLog, Entry
from iris_nb.audit.migrations import MIGRATIONS, migrate
from iris_nb.compare.experiment import Challenger, Experiment
from iris_nb.compare.sequence import Verdict
from iris_nb.compare.trial import TrialError, read_trial, trial_lines
from iris_nb.examples import PEOPLE

START = 1_777_636_800_000_000
TRIAL = Experiment(
    name="spring",
    challenger=Challenger("people_rule", "2"),
    share=0.4,
    key="caller",
    margin=0.05,
    salt="5a" * 16,
    started=START,
    since=START,
)
SURE = {"champion": 0.7, "challenger": 0.95}


@pytest.fixture
def log(place: str) -> Iterator[AuditLog]:
    with AuditLog.open(place, PEOPLE) as opened:
        yield opened


def entry(number: int, key: str, time: int = START, sure: float | None = None, **changed: object) -> Entry:
    "A person who is red, as the arm of the key answers."
    arm, unit = TRIAL.assign(key)
    red = SURE[arm] if sure is None else sure
    fields = {
        "id": f"id-{number:06}-00000",
        "request_id": "r",
        "time": time + number,
        "model_name": "people_rule",
        "model_version": "2" if arm == "challenger" else "1",
        "duration_ms": 1.0,
        "caller": None,
        "features": [(1.7, 60.0)],
        "labels": ["red"],
        "confidences": [red],
        "probabilities": [(red, 1 - red)],
        "experiment_name": "spring",
        "experiment_arm": arm,
        "experiment_unit": unit,
    }
    return Entry(**(fields | changed))


def label_all(log: AuditLog, count: int, truth: str = "red") -> None:
    for number in range(count):
        log.label(f"id-{number:06}-00000", truth)


def test_a_better_challenger_is_called_so(log: AuditLog):
    log.append([entry(i, f"user-{i}") for i in range(300)])
    label_all(log, 300)
    seen = read_trial(log.database, TRIAL)
    assert seen.sequence.verdict == Verdict.better
    assert {arm: round(a.loss, 4) for arm, a in seen.arms.items()} == {"champion": 0.09, "challenger": 0.0025}
    assert seen.arms["champion"].units + seen.arms["challenger"].units == 300
    assert trial_lines(seen)[-1].startswith("Verdict: better.")


def test_a_unit_counts_once_with_the_row_whose_label_came_first(log: AuditLog):
    log.append([entry(0, "ann", sure=0.6), entry(1, "ann", sure=0.9), entry(2, "bob")])
    log.label("id-000001-00000", "red")
    log.label("id-000000-00000", "red")
    seen = read_trial(log.database, TRIAL)
    assert seen.sequence.labels == 1
    assert [a.loss for a in seen.arms.values() if a.labelled] == [pytest.approx(0.01)]
    assert sum(a.tally.rows for a in seen.arms.values()) == 3
    assert sum(a.units for a in seen.arms.values()) == 2


def test_only_rows_since_the_last_change_of_the_share_and_of_this_experiment_count(log: AuditLog):
    log.append(
        [
            entry(0, "ann", time=START - 1000),
            entry(1, "bob", experiment_name="winter"),
            entry(2, "cem", experiment_name=None, experiment_arm=None, experiment_unit=None),
            entry(3, "dee"),
        ]
    )
    assert sum(a.tally.rows for a in read_trial(log.database, TRIAL).arms.values()) == 1


def test_an_experiment_without_a_row_says_so(log: AuditLog):
    assert trial_lines(read_trial(log.database, TRIAL))[1:] == ["No row of it is in the log yet."]


def test_a_wrong_split_gives_no_verdict(log: AuditLog):
    keys = [k for k in (f"user-{i}" for i in range(300)) if TRIAL.assign(k).arm == "champion" or k.endswith("7")]
    log.append([entry(i, key) for i, key in enumerate(keys)])
    label_all(log, len(keys))
    lines = trial_lines(read_trial(log.database, TRIAL))
    assert lines[-1] == "Verdict: none, since the arms can't be compared."
    assert "where 40.00% was asked for" in "".join(lines)


def test_labels_that_favour_one_arm_give_no_verdict(log: AuditLog):
    entries = [entry(i, f"user-{i}") for i in range(300)]
    log.append(entries)
    for e in entries:
        if e.experiment_arm == "champion":
            log.label(e.id, "red")
    assert "labels come in from both arms unequally" in trial_lines(read_trial(log.database, TRIAL))[-1]


def test_slow_and_unsure_answers_are_counted_and_end_it(log: AuditLog):
    log.append([entry(i, f"user-{i}", sure=None) for i in range(300)])
    scores = {"champion": np.linspace(0, 0.35, 99), "challenger": np.linspace(0, 0.01, 99)}
    seen = read_trial(log.database, TRIAL, scores)
    assert seen.arms["champion"].tally.unsure == 0
    assert seen.arms["challenger"].tally.unsure == seen.arms["challenger"].tally.rows
    assert "unsure answers" in seen.guardrail
    assert read_trial(log.database, TRIAL, {"champion": scores["champion"]}).guardrail == ""
    log.append([entry(1000 + i, f"late-{i}", duration_ms=500.0) for i in range(300)])
    slow = read_trial(log.database, TRIAL).arms
    assert [a.tally.slow * 2 == pytest.approx(a.tally.rows, rel=0.2) for a in slow.values()] == [True, True]


def test_two_models_in_one_arm_are_named(log: AuditLog):
    key = next(k for k in map(str, range(99)) if TRIAL.assign(k).arm == "champion")
    log.append([entry(0, key), entry(1, key, model_version="3")])
    assert "versions 1 and 3" in "".join(trial_lines(read_trial(log.database, TRIAL)))


def test_a_log_that_is_not_up_to_date_is_a_sentence(tmp_path: Path):
    path = tmp_path / "audit.db"
    path.touch()
    engine = open_engine(parse_url(path), "full", read_only=False, timeout=5)
    with engine.connect() as connection:
        begin_exclusive(connection)
        migrate(connection, PEOPLE, MIGRATIONS[:6])
        connection.commit()
    engine.dispose()
    with AuditLog.open(path, PEOPLE, read_only=True) as log, pytest.raises(TrialError, match="start the service once"):
        read_trial(log.database, TRIAL)


def test_an_experiment_that_has_ended_says_why(log: AuditLog):
    ended = msgspec.structs.replace(TRIAL, state="stopped", reason="It was a test.")
    assert trial_lines(read_trial(log.database, ended))[0].endswith("UTC. It was a test.")
