"`iris-nb replay` and `iris-nb experiment`, as a person types them, about the declared table."

import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from iris_nb.audit.log import AuditLog, Entry
from iris_nb.cli import COMMANDS, Command, cli
from iris_nb.compare.experiment import read_experiment
from iris_nb.examples import PEOPLE, people
from iris_nb.predict.predictor import Predictor, load_champion
from iris_nb.schema import encode_columns
from iris_nb.table import SCHEMA
from tests.conftest import bundle_maker

HOUR = 3_600_000_000


@pytest.fixture(autouse=True)
def experiment_verb(monkeypatch):
    "Lists the verb that no service follows yet, so that it is called as the others are."
    listed = Command("experiment", "iris_nb.compare.commands:experiment", "")
    monkeypatch.setattr("iris_nb.cli.COMMANDS", (*COMMANDS, listed))


def run(*words: str):
    return CliRunner().invoke(cli, list(words))


def log_rows(home: Path, model: Predictor, count: int = 40, **fields: object) -> list[str]:
    "Answer some drawn rows an hour ago, one a request; return their ids."
    random = np.random.default_rng(0)
    drawn = [[f.decode(x) for x in f.draw(random, count).tolist()] for f in SCHEMA.features]
    rows = list(zip(*drawn, strict=True))
    P = model.probabilities(np.array(encode_columns(SCHEMA, rows), dtype=np.float64).T)
    with AuditLog.open(home / "audit.db") as log:
        start, at = log.count(), time.time_ns() // 1000 - HOUR
        log.append(
            [
                Entry(
                    f"id-{start + i:06}-00000", "r", at + i, model.card.name, model.card.version, 1.0, None, [rows[i]],
                    model.labels(P[i : i + 1]), [float(P[i].max())], [P[i].tolist()], model.decisions(P[i : i + 1]),
                    **fields,
                )
                for i in range(count)
            ]
        )  # fmt: skip
        return [f"id-{start + i:06}-00000" for i in range(count)]


@pytest.fixture
def model(champion_home: Path) -> Predictor:
    found = load_champion(champion_home / "bundles")
    assert found
    return found


def test_a_version_answers_what_the_log_holds(champion_home, model):
    log_rows(champion_home, model)
    done = run("replay", "2", "--quiet")
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"{model.card.name} 2 on 40 rows that {model.card.name} 1 answered.")
    assert "Verdict: go on." in done.output
    assert "Before: " in done.output


def test_the_champion_gives_its_answers_again_bit_for_bit(champion_home, model):
    log_rows(champion_home, model)
    assert "Every probability is the same, bit for bit." in run("replay", model.card.folder, "--quiet").output


def test_an_answer_needs_no_bundle_of_the_model_that_gave_it(champion_home, model):
    log_rows(champion_home, model)
    (champion_home / "bundles" / model.card.folder / "model.onnx").unlink()
    done = run("replay", "2", "--quiet")
    assert done.exit_code == 0, done.output
    assert "Before: " not in done.output


def test_what_cannot_be_replayed_is_a_sentence(champion_home, model, tmp_path):
    ids = log_rows(champion_home, model)
    other = bundle_maker(PEOPLE, people(60))(tmp_path)
    for words, said in [
        (["9"], "There is no folder 9"),
        ([str(other)], "was made for another schema"),
        (["2", "--window", "1s"], "no prediction in this window"),
        (["2", "--window", "soon"], "A window is an age"),
        (["2", "--against", "9"], "version 9"),
        (["2", "--margin", "0"], "margin"),
    ]:
        done = run("replay", *words, "--quiet")
        assert done.exit_code in (1, 2)
        assert said in done.output
        assert "Traceback" not in done.output
    assert len(ids) == 40


def test_without_a_log_a_replay_says_so(champion_home):
    done = run("replay", "2", "--quiet")
    assert done.exit_code == 1
    assert "There is no audit log" in done.output


START = "experiment", "start", "spring", "--challenger", "2", "--key", "header:X-User"


def test_an_experiment_is_started_changed_and_ended(champion_home):
    done = run(*START, "--share", "0.05", "--margin", "0.02")
    assert done.exit_code == 0, done.output
    begun = read_experiment(champion_home / "bundles")
    assert (begun.name, begun.challenger.version, begun.share, begun.margin) == ("spring", "2", 0.05, 0.02)
    assert "0.2 of the keys" in run("experiment", "share", "0.2").output
    assert "the champion answers everything. A sale." in run("experiment", "pause", "--reason", "A sale.").output
    assert "is running" in run("experiment", "resume").output
    assert run("experiment", "stop").exit_code == 0
    ended = read_experiment(champion_home / "bundles")
    assert (ended.state, ended.share, ended.salt, ended.reason) == ("stopped", 0.2, begun.salt, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--challenger", "1"), "is the champion itself"),
        (("--challenger", "9"), "There is no folder 9"),
        (("--key", "cookie"), "header:NAME"),
        (("--key", "body:no such field"), f"There are {SCHEMA.names[0]}"),
        (("--share", "0.9"), "at most 0.5"),
        (("--margin", "2"), "margin"),
    ],
)
def test_what_cannot_be_tried_is_a_sentence_and_nothing_begins(champion_home, words, said):
    done = run(*START, *words)
    assert done.exit_code == 1
    assert said in done.output
    assert read_experiment(champion_home / "bundles") is None


def test_a_second_experiment_waits_for_the_end_of_the_first(champion_home):
    assert run(*START).exit_code == 0
    assert "there is one at a time" in run(*START).output
    assert run("experiment", "stop").exit_code == 0
    assert run(*START).exit_code == 0


def test_a_bundle_from_elsewhere_has_to_be_where_the_service_finds_it(champion_home, tmp_path, make_bundle):
    elsewhere = make_bundle(tmp_path / "elsewhere", version="3", strength=0.1)
    done = run("experiment", "start", "spring", "--challenger", str(elsewhere), "--key", "caller")
    assert "copy" in done.output
    assert done.exit_code == 1


def test_an_experiment_needs_a_champion(champion_home):
    (champion_home / "bundles" / "champion.json").unlink()
    assert "There is no champion yet" in run(*START).output


@pytest.mark.parametrize("words", [("share", "0.2"), ("pause",), ("resume",), ("stop",)])
def test_without_an_experiment_there_is_nothing_to_change(champion_home, words):
    done = run("experiment", *words)
    assert done.exit_code == 1
    assert "No experiment is going on." in done.output


def test_every_step_is_an_event_and_the_end_has_the_outcome(champion_home):
    for words in (START, ("experiment", "share", "0.2"), ("experiment", "pause"), ("experiment", "resume")):
        assert run(*words).exit_code == 0
    assert run("experiment", "stop", "--reason", "It is over.").exit_code == 0
    with AuditLog.open(champion_home / "audit.db", read_only=True) as log:
        events = log.events.list()[::-1]
    steps = ["start", "share", "pause", "resume", "stop"]
    assert [(e.kind, e.subject) for e in events] == [(f"experiment.{step}", "spring") for step in steps]
    assert events[-1].detail["reason"] == "It is over."
    assert events[-1].detail["outcome"] == "No row of it is in the log yet."


def test_a_log_that_cannot_take_a_step_does_not_stop_it(champion_home):
    (champion_home / "audit.db").write_text("no database")
    done = run(*START)
    assert done.exit_code == 0
    assert "not in the audit log" in done.output
    assert read_experiment(champion_home / "bundles").state == "running"


def test_the_report_has_both_arms_and_can_be_read_after_the_end(champion_home, model):
    assert run(*START, "--share", "0.5").exit_code == 0
    e = read_experiment(champion_home / "bundles")
    units = [e.assign(f"user-{i}") for i in range(60)]
    now = time.time_ns() // 1000
    P = [[0.5, *[0.5 / (len(SCHEMA.classes) - 1)] * (len(SCHEMA.classes) - 1)]] * 60
    values = [[SCHEMA.example[name] for name in SCHEMA.names]]
    with AuditLog.open(champion_home / "audit.db") as log:
        log.append(
            [
                Entry(
                    f"id-{i:06}-00000", "r", now + i, model.card.name, "12"[a.arm == "challenger"], 1.0, None, values,
                    [SCHEMA.classes[0]], [0.5], [P[i]], experiment_name="spring", experiment_arm=a.arm,
                    experiment_unit=a.unit,
                )
                for i, a in enumerate(units)
            ]
        )  # fmt: skip
        log.label("id-000003-00000", SCHEMA.classes[0])
    count = sum(a.arm == "challenger" for a in units)
    for _ in range(2):
        said = run("experiment", "report").output
        assert f"challenger: {count} rows of {count} keys" in said
        assert "Split: as asked for." in said
        assert "Verdict: go on." in said
        run("experiment", "stop")


def test_without_an_experiment_there_is_no_report(champion_home):
    assert "There was no experiment yet." in run("experiment", "report").output
