"`iris-nb replay`, as a person types it, about the declared table."

import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from iris_nb.audit.log import AuditLog, Entry
from iris_nb.cli import cli
from iris_nb.examples import PEOPLE, people
from iris_nb.predict.predictor import Predictor, load_champion
from iris_nb.schema import encode_columns
from iris_nb.table import SCHEMA
from tests.conftest import bundle_maker

HOUR = 3_600_000_000


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
