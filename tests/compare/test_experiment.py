"Arms of keys, the file of the experiment, the check of the split and the guardrails."

from math import sqrt
from pathlib import Path

import msgspec
import numpy as np
import pytest

from iris_nb.compare.experiment import (
    Allowance,
    Challenger,
    Experiment,
    ExperimentError,
    Tally,
    change_experiment,
    guardrail,
    parse_key,
    read_experiment,
    sample_ratio,
    share_bounds,
    start_experiment,
)

MODEL = Challenger("people_forest", "7")
KEYS = 1_000_000


def experiment(salt: str = "00", share: float = 0.1) -> Experiment:
    return Experiment(
        name="spring", challenger=MODEL, share=share, key="caller", margin=0.01, salt=salt * 16, started=0, since=0
    )


@pytest.fixture(scope="module")
def hashes() -> np.ndarray:
    "The first 64 bits of each key's hash under two salts, as shares from 0 to 1; shape (2, keys)."
    first, second = experiment("5a"), experiment("c3")
    units = [[e.assign(f"user-{i}").unit[:16] for i in range(KEYS)] for e in (first, second)]
    return np.array([np.frombuffer(bytes.fromhex("".join(u)), dtype=">u8") for u in units]) / 2**64


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5])
def test_a_million_keys_are_split_within_binomial_bounds(hashes, share):
    arms = (hashes < share).sum(axis=1)
    assert (abs(arms - share * KEYS) < 5 * sqrt(KEYS * share * (1 - share))).all()


def test_the_arms_of_two_experiments_are_not_correlated(hashes):
    assert abs(np.corrcoef(hashes < 0.1)[0, 1]) < 5 / sqrt(KEYS)


def test_nobody_who_met_the_challenger_is_sent_back_when_the_share_grows():
    small, large = experiment(share=0.01), experiment(share=0.5)
    arms = {(small.assign(f"k{i}").arm, large.assign(f"k{i}").arm) for i in range(100_000)}
    assert arms == {("champion", "champion"), ("champion", "challenger"), ("challenger", "challenger")}


def test_the_unit_in_the_log_proves_the_arm():
    for i in range(1000):
        arm, unit = experiment(share=0.3).assign(f"key {i}")
        assert (int(unit[:16], 16) / 2**64 < 0.3) == (arm == "challenger")


def test_any_text_is_a_key():
    assert {len(experiment().assign(key).unit) for key in ("", "ä", "\udcff", "x" * 10_000)} == {32}


def test_what_was_started_is_read_back(tmp_path: Path):
    begun = start_experiment(tmp_path, "spring", MODEL, share=0.1, key="header:X-User", margin=0.01)
    assert read_experiment(tmp_path) == begun
    assert begun.state == "running"
    assert begun.challenger.folder == "people_forest-7"


def test_there_is_one_experiment_at_a_time_and_each_has_its_own_salt(tmp_path: Path):
    first = start_experiment(tmp_path, "spring", MODEL, share=0.1, key="caller", margin=0.01)
    change_experiment(tmp_path, state="paused")
    with pytest.raises(ExperimentError, match="spring is paused"):
        start_experiment(tmp_path, "summer", MODEL, share=0.1, key="caller", margin=0.01)
    change_experiment(tmp_path, state="stopped", reason="It is over.")
    second = start_experiment(tmp_path, "summer", MODEL, share=0.1, key="caller", margin=0.01)
    assert second.salt != first.salt


def test_an_ended_experiment_is_not_changed_and_neither_is_the_next_one_in_its_place(tmp_path: Path):
    first = start_experiment(tmp_path, "spring", MODEL, share=0.1, key="caller", margin=0.01)
    change_experiment(tmp_path, state="stopped")
    with pytest.raises(ExperimentError, match="No experiment"):
        change_experiment(tmp_path, share=0.2)
    second = start_experiment(tmp_path, "summer", MODEL, share=0.1, key="caller", margin=0.01)
    with pytest.raises(ExperimentError, match="No experiment"):
        change_experiment(tmp_path, of=first.salt, state="stopped")
    assert read_experiment(tmp_path) == second


def test_only_a_change_of_the_share_begins_the_count_anew(tmp_path: Path):
    begun = start_experiment(tmp_path, "spring", MODEL, share=0.1, key="caller", margin=0.01)
    assert change_experiment(tmp_path, state="paused", share=0.1).since == begun.since
    assert change_experiment(tmp_path, share=0.2).since > begun.since


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path):
    with pytest.raises(ExperimentError) as raised:
        start_experiment(tmp_path, "../x", MODEL, share=float("nan"), key="cookie:id", margin=0)
    assert [word in str(raised.value) for word in ("name", "share", "margin", "header:NAME")] == [True] * 4
    assert read_experiment(tmp_path) is None


@pytest.mark.parametrize("text", ["{", "[]", "7", "[" * 10_000, b"\xff", '{"name": "spring"}'])
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path: Path, text):
    (tmp_path / "experiment.json").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ExperimentError, match=r"experiment\.json can't be used"):
        read_experiment(tmp_path)


def test_a_share_beyond_its_bounds_is_refused_in_the_file_too(tmp_path: Path):
    start_experiment(tmp_path, "spring", MODEL, share=0.1, key="caller", margin=0.01)
    path = tmp_path / "experiment.json"
    path.write_bytes(msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | {"share": 7}))
    with pytest.raises(ExperimentError, match="share"):
        read_experiment(tmp_path)


@pytest.mark.parametrize("text", ["", "header:", "header:a b", "body:", "Caller", "caller:x", "header:X\n"])
def test_another_kind_of_key_is_refused(text):
    with pytest.raises(ExperimentError, match="header:NAME"):
        parse_key(text)


def test_the_split_is_checked_at_every_look_with_few_false_alarms():
    random = np.random.default_rng(1)
    alarms = 0
    for _ in range(200):
        hits = (random.random(1000) < 0.1).cumsum()
        alarms += any(sample_ratio(int(hits[n - 1]), n - int(hits[n - 1]), 0.1, alpha=0.05) for n in range(1, 1001, 5))
    assert alarms <= 20


def test_a_split_that_loses_one_in_twenty_is_found():
    assert "9.50%" in sample_ratio(9_500, 90_500, 0.1)
    assert sample_ratio(10_000, 90_000, 0.1) == ""


def test_bounds_of_a_share_hold_it_and_close():
    assert share_bounds(0, 0) == (0, 1)
    widths = [high - low for low, high in (share_bounds(n // 5, n) for n in (10, 100, 1000, 10_000))]
    assert widths == sorted(widths, reverse=True)
    assert share_bounds(0, 50)[0] == 0
    assert share_bounds(50, 50)[1] == 1


@pytest.mark.parametrize("kind", ["failed", "slow", "unsure"])
def test_each_guardrail_ends_an_experiment_that_harms(kind):
    sentence = guardrail(Tally(rows=300, **{kind: 150}), Tally(rows=3000, **{kind: 30}))
    assert "50.0%" in sentence
    assert not guardrail(Tally(rows=300, **{kind: 3}), Tally(rows=3000, **{kind: 30}))


def test_a_guardrail_waits_for_more_than_chance_and_for_more_than_is_allowed():
    assert not guardrail(Tally(rows=3, failed=1), Tally(rows=100))
    assert not guardrail(Tally(), Tally())
    assert not guardrail(Tally(10_000, unsure=2_500), Tally(90_000, unsure=18_000), Allowance(unsure=0.1))
    assert guardrail(Tally(10_000, unsure=2_500), Tally(90_000, unsure=18_000), Allowance(unsure=0.02))
