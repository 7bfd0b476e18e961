"""What the gate lets through, and what it says."""

import dataclasses

import numpy as np
import pytest

from iris_nb.compare.sequence import Sequence, Verdict, paired
from iris_nb.train.candidates import build, candidate
from iris_nb.train.evaluate import cross_validate, fold_scores, make_folds, prior_log_losses, rarest_recall
from iris_nb.train.gate import Facts, Limits, from_json, judge, to_json


def facts(**changes):
    losses = np.random.default_rng(0).gamma(0.5, 0.1, 100).tolist()
    known = Facts("m 1", 0.98, 0.01, 0.02, "data", "10 x 10 by 42", 1 / 9, losses, prior_log_losses=[5.0] * 100)
    return dataclasses.replace(known, **changes)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"prior_log_losses": [v + 0.004 for v in facts().log_losses]}, "saves 6% of the log loss of the class priors"),
        ({"calibration_error": 0.2}, "off by 20.0%"),
        ({"row_ms": 5.0}, "the budget is 1 ms"),
        ({"parity": "3 of 10 rows get another class."}, "3 of 10 rows"),
        ({"log_losses": [v + 0.05 for v in facts().log_losses]}, "worse beyond noise on the same folds"),
        ({"log_losses": [3.0, 3.1] * 50, "folds": "other"}, "worse beyond noise on other folds"),
    ],
)
def test_the_gate_refuses_with_the_reason(changes, word):
    verdict = judge(facts(**changes), facts())
    assert not verdict.passed
    (against,) = [reason for reason in verdict.reasons if reason.startswith("Against: ")]
    assert word in against


def test_the_gate_names_a_change_of_the_data_and_lets_it_pass():
    verdict = judge(facts(data_hash="other"), facts())
    assert verdict.passed
    assert "The training data is another as for m 1: other, not data." in verdict.reasons


@pytest.mark.parametrize("nonsense", [None, 3, facts(log_losses=[]), facts(accuracy=None), facts(row_ms=float("nan"))])
def test_the_gate_never_raises_and_refuses_what_makes_no_sense(nonsense):
    assert not judge(nonsense, facts()).passed


def test_the_same_model_again_passes():
    assert judge(facts(), facts()).passed
    assert judge(from_json(to_json(facts())), facts()).passed


@pytest.mark.parametrize("random_state", range(5))
@pytest.mark.parametrize("name", ["logistic_regression", "lda", "naive_bayes"])
def test_the_gate_refuses_a_model_of_noise_however_often_it_is_right(name, random_state):
    random = np.random.default_rng(random_state)
    X, y = random.normal(size=(1500, 2)), (random.random(1500) < 0.02).astype(int)
    folds = make_folds(y, repeats=1)
    P = cross_validate({name: build(candidate(name))}, X, y, folds, jobs=1, progress=False)[name]
    scores = fold_scores(P, y, folds)
    _, found, of = rarest_recall(P[0], y)
    new = facts(
        accuracy=float(scores["accuracy"].mean()),
        log_losses=scores["log_loss"].tolist(),
        prior_log_losses=prior_log_losses(y, folds).tolist(),
        ratio=folds.ratio,
        rarest="fraud",
        rarest_found=found,
        rarest_rows=of,
    )
    verdict = judge(new)
    assert new.accuracy > 0.95
    against, skill = [reason for reason in verdict.reasons if reason.startswith("Against: ")]
    assert "at least 10% is asked" in skill
    assert f"{new.log_loss:.4f}" in against
    assert f"{np.mean(new.prior_log_losses):.4f}, that of the class priors" in against
    assert f"it recognises {found} of {of} rows of the rarest class, fraud" in against


def test_the_priors_are_those_of_the_training_part_of_each_fold():
    y = np.array([0] * 30 + [1] * 10)
    folds = make_folds(y, splits=5, repeats=2)
    assert np.allclose(prior_log_losses(y, folds), -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))


def test_facts_that_were_not_compared_with_the_priors_are_no_champion():
    verdict = judge(facts(prior_log_losses=[]))
    assert not verdict.passed
    assert "Against: Its log loss was not compared with that of the class priors; train it again." in verdict.reasons


def test_a_candidate_that_was_out_is_named_in_the_verdict():
    assert "qda is out: it can't be fitted." in judge(facts(notes=["qda is out: it can't be fitted."])).reasons


def test_how_much_a_model_has_to_learn_is_declared():
    new = facts(prior_log_losses=[v + 0.01 for v in facts().log_losses])
    assert 0.1 < new.skill < 0.2
    assert judge(new, limits=Limits(skill=0.1)).passed
    assert not judge(new, limits=Limits(skill=0.2)).passed


def compared(mean: float) -> Sequence:
    return paired(np.clip(np.random.default_rng(0).normal(mean, 0.1, 20_000), -1, 1), 0.01)


@pytest.mark.parametrize(
    ("mean", "required", "passes"),
    [
        (-0.05, (), True),
        (0.0, (), True),
        (0.05, (), False),
        (0.05, (Verdict.worse,), False),
        (-0.05, (Verdict.better,), True),
        (0.0, (Verdict.better,), False),
        (0.0, (Verdict.better, Verdict.equivalent), True),
    ],
)
def test_the_verdict_on_logged_rows_is_one_more_sentence_and_can_be_required(mean, required, passes):
    verdict = judge(facts(), facts(name="m 0"), Limits(seen=required), compared(mean))
    assert verdict.passed == passes
    assert sum("difference of the Brier score" in reason for reason in verdict.reasons) == 1


def test_a_required_verdict_that_is_missing_refuses_but_not_the_first_model():
    refused = judge(facts(), facts(name="m 0"), Limits(seen=(Verdict.better,)))
    assert not refused.passed
    assert any("better is required: `iris-nb replay`" in reason for reason in refused.reasons)
    assert judge(facts(), None, Limits(seen=(Verdict.better,))).passed
