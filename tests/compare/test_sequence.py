"Confidence sequences of the difference in Brier score, and what may be said at any time."

import numpy as np
import pytest

from iris_nb.compare.sequence import Sequence, Verdict, brier, paired, two_sample


def draws(mean: float, count: int, seed: int = 0, spread: float = 0.1) -> np.ndarray:
    return np.clip(np.random.default_rng(seed).normal(mean, spread, count), -1, 1)


@pytest.mark.parametrize(
    ("mean", "verdict"),
    [(-0.03, Verdict.better), (0.03, Verdict.worse), (0.0, Verdict.equivalent)],
)
def test_a_large_difference_and_none_get_their_verdicts(mean, verdict):
    sequence = paired(draws(mean, 20_000), margin=0.01)
    assert sequence.verdict == verdict
    assert sequence.more == 0
    assert verdict in sequence.sentence()


def test_few_labels_give_no_verdict_and_an_outlook():
    sequence = paired(draws(-0.02, 30), margin=0.01)
    assert sequence.verdict == Verdict.go_on
    assert 0 < sequence.more < 10_000
    assert "days at the present rate" in sequence.sentence(per_day=10)


@pytest.mark.parametrize("count", [0, 1])
def test_no_label_or_one_is_no_error(count):
    sequence = paired([0.5] * count, margin=0.01)
    assert sequence.verdict == Verdict.go_on
    assert sequence.more is None
    assert sequence.sentence()


def test_all_bounds_together_miss_the_truth_seldom():
    random = np.random.default_rng(4)
    missed = 0
    for _ in range(300):
        sequence = paired(random.choice([-0.9, 0.0, 0.1, 0.4], 300, p=[0.1, 0.4, 0.3, 0.2]) - 0.02, margin=0.01)
        missed += bool((sequence.low > 0).any() or (sequence.high < 0).any())
    assert missed <= 15


def test_the_bounds_only_close_and_are_the_mirror_of_each_other():
    x = draws(0.01, 5_000)
    there, back = paired(x, margin=0.01), paired(-x, margin=0.01)
    assert (np.diff(there.low) >= 0).all()
    assert (np.diff(there.high) <= 0).all()
    assert np.array_equal(there.low, -back.high)


def test_a_bound_is_where_the_bets_against_it_have_won():
    x = draws(0.1, 200)
    sequence = paired(x, margin=0.01)
    bets = np.geomspace(0.004, 0.95, 16)
    lows = [m for m in np.linspace(-0.99, 0.99, 1000) if _wealth(x, bets, m) < 40]
    assert sequence.low[-1] == pytest.approx(min(lows), abs=0.005)


def _wealth(x: np.ndarray, bets: np.ndarray, m: float) -> float:
    return float(np.mean([np.prod((1 + bet * x) / (1 + bet * m)) for bet in bets]))


def test_a_million_labels_keep_a_few_hundred_looks():
    sequence = paired(draws(-0.001, 1_000_000), margin=0.01)
    assert len(sequence.looks) <= 500
    assert sequence.labels == 1_000_000
    assert sequence.high[-1] < 0
    assert "by less than the margin" in sequence.sentence()


def test_a_difference_that_turned_round_is_called_so():
    sequence = paired(np.concatenate([draws(-0.3, 3_000), draws(0.3, 6_000)]), margin=0.01)
    assert not sequence.is_steady
    assert sequence.verdict == Verdict.go_on
    assert "changed over time" in sequence.sentence()


def test_the_most_extreme_losses_are_bounded():
    for value in (-1.0, 1.0):
        sequence = paired(np.full(100, value), margin=0.01)
        assert sequence.low[-1] <= value <= sequence.high[-1]


@pytest.mark.parametrize("values", [[1.1], [float("nan")], [[0.1]]])
def test_what_is_no_difference_is_refused(values):
    with pytest.raises(ValueError, match="from -1 to 1"):
        paired(values, margin=0.01)


@pytest.mark.parametrize(("margin", "alpha"), [(0, 0.05), (1, 0.05), (0.01, 0), (float("nan"), 0.05)])
def test_a_margin_that_means_nothing_is_refused(margin, alpha):
    with pytest.raises(ValueError, match="between 0 and 1"):
        paired([0.0], margin, alpha)


def test_the_brier_score_is_half_the_squared_distance():
    P = np.array([[0.2, 0.3, 0.5]])
    assert brier(P, np.array([1]))[0] == pytest.approx((0.04 + 0.49 + 0.25) / 2)
    assert brier(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 0])).tolist() == [0, 1]


def arms(count: int, share: float, difference: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    arm = random.random(count) < share
    season = 0.2 + 0.1 * np.sin(np.arange(count) / 300)
    return np.clip(random.normal(season + np.where(arm, difference, 0), 0.1), 0, 1), arm


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_two_arms_on_different_rows_get_their_verdict_though_both_drift(share):
    assert two_sample(*arms(20_000, share, -0.05), share, margin=0.01).verdict == Verdict.better
    assert two_sample(*arms(20_000, share, 0.05), share, margin=0.01).verdict == Verdict.worse
    assert two_sample(*arms(20_000, share, 0.0), share, margin=0.05).verdict == Verdict.equivalent


def test_two_arms_without_a_difference_get_few_false_verdicts():
    found = [two_sample(*arms(600, 0.2, 0.0, seed), 0.2, margin=0.01) for seed in range(200)]
    assert sum(bool((s.low > 0).any() or (s.high < 0).any()) for s in found) <= 10


def test_one_arm_for_each_loss():
    with pytest.raises(ValueError, match="one arm for each loss"):
        two_sample([0.1, 0.2], [True], 0.5, margin=0.01)
    assert isinstance(two_sample([], [], 0.5, margin=0.01), Sequence)
