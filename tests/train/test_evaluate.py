"""The numbers that a choice rests on: the reference table, the protocol, the selection, the gate, the coverage."""

import dataclasses
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from scipy import stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_recall_fscore_support
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from iris_nb.examples import IRIS, irises
from iris_nb.train.candidates import CANDIDATES, Candidate, build, candidate
from iris_nb.train.conformal import coverage
from iris_nb.train.data import arrays, split
from iris_nb.train.evaluate import (
    _standard_error,
    compare_candidates,
    cross_validate,
    estimate,
    fold_scores,
    make_folds,
    measures,
    plan_candidates,
    proportion_interval,
    select,
    stratified_sample,
    try_candidates,
)
from iris_nb.train.evidence import learning_curve, permutation_importance

X, Y = arrays(irises(), IRIS)
LESSONS = Path(__file__).parents[2] / "nbs" / "api"


def stored(name: str) -> str:
    "Everything that a lesson's stored outputs say."
    outputs = [o for c in nbformat.read(LESSONS / name, 4).cells for o in c.get("outputs", [])]
    return "\n".join(o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs)


REFERENCE = {
    "logistic regression": (LogisticRegression(max_iter=1000, random_state=42), [0.9333, 0.9333, 0.9333, 0.9333]),
    "random forest": (RandomForestClassifier(random_state=42), [0.9000, 0.9024, 0.9000, 0.8997]),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_the_reference_designs_table_is_reproduced_to_the_digit(name):
    model, expected = REFERENCE[name]
    train, test = split(irises(), IRIS, test_share=0.2, random_state=42)
    said = make_pipeline(StandardScaler(), model).fit(*arrays(train, IRIS)).predict(arrays(test, IRIS)[0])
    precision, recall, f1, _ = precision_recall_fscore_support(arrays(test, IRIS)[1], said, average="weighted")
    assert [round(v, 4) for v in (accuracy_score(arrays(test, IRIS)[1], said), precision, recall, f1)] == expected
    cells = [f"{value:.2%}" for value in expected]
    assert re.search(rf"{name} +{' +'.join(cells)}", stored("train/03_evaluate.ipynb"))


def test_the_lesson_reads_the_reference_table_honestly():
    said = stored("train/03_evaluate.ipynb")
    assert "28 of 30 right" in said
    assert "27 of 30 right" in said
    assert "p = 1.00" in said


def test_the_lesson_shows_the_selection_the_parity_and_the_coverage():
    assert "the simplest of these is linear discriminant analysis" in stored("train/03_evaluate.ipynb")
    parity = stored("train/02_onnx_export.ipynb")
    assert all(f"{c.name:24} agrees on 10,150 rows" in parity for c in CANDIDATES)
    assert re.search(r"0 +0\.05 +0\.95 .*\n1 +0\.10 +0\.90 .*\n2 +0\.20 +0\.80", stored("train/04_conformal.ipynb"))


@pytest.fixture(scope="module")
def folds():
    return make_folds(Y)


@pytest.fixture(scope="module")
def scores(folds):
    models = {name: build(candidate(name)) for name in ("logistic_regression", "lda", "qda_shrunk")}
    P = cross_validate(models, X, Y, folds, jobs=1, progress=False)
    return {name: fold_scores(p, Y, folds) for name, p in P.items()}


def test_the_folds_are_those_of_scikit_learn(folds):
    plan = list(RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=42).split(X, Y))
    for r in range(10):
        for k, part in enumerate(folds.parts(r)):
            assert set(np.flatnonzero(part)) == set(plan[10 * r + k][1])


def test_the_champion_reaches_the_bounds_in_ten_times_repeated_ten_fold_cross_validation(scores):
    chosen = select(compare_candidates(scores, [candidate(name) for name in scores], 1 / 9)).name
    assert chosen == "lda"
    assert scores[chosen]["accuracy"].mean() >= 0.979
    assert scores[chosen]["log_loss"].mean() <= 0.057


def test_the_reference_model_is_beaten_beyond_noise(scores, folds):
    d = estimate((scores["logistic_regression"]["log_loss"] - scores["lda"]["log_loss"]).to_numpy(), folds.ratio)
    assert d.low > 0
    assert d.p < 0.001


def test_one_process_and_many_give_the_same_numbers(folds):
    few = dataclasses.replace(folds, fold=folds.fold[:2])
    models = {"lda": build(candidate("lda")), "forest": build(candidate("random_forest"))}
    one, many = (cross_validate(models, X, Y, few, jobs=jobs, progress=False) for jobs in (1, 2))
    assert all((one[name] == many[name]).all() for name in models)


def test_the_measures_are_those_of_scikit_learn():
    P = np.random.default_rng(0).dirichlet([1, 1, 1], 150)
    found = measures(P, Y)
    assert np.isclose(found["log_loss"], log_loss(Y, P))
    assert np.isclose(found["macro_f1"], f1_score(Y, P.argmax(1), average="macro"))
    assert np.isclose(found["brier"], ((P - np.eye(3)[Y]) ** 2).sum(1).mean())


def test_being_sure_and_wrong_is_a_finite_loss():
    assert 36 < measures(np.eye(3)[[0]], np.array([1]))["log_loss"] < 37


def test_the_standard_error_is_nadeaus_and_bengios():
    values = np.random.default_rng(0).normal(size=100)
    assert np.isclose(_standard_error(values, 1 / 9), np.sqrt((1 / 100 + 1 / 9) * values.var(ddof=1)))
    e = estimate(values, 1 / 9)
    assert np.isclose(e.p, 2 * stats.t.sf(abs(e.mean / e.error), 99))
    assert estimate(np.zeros(10), 1 / 9).p == 1


def test_an_interval_of_no_successes_starts_at_zero():
    assert proportion_interval(0, 10)[1] == 0
    assert proportion_interval(10, 10)[2] == 1


def test_the_simplest_candidate_within_one_standard_error_wins(scores):
    compared = compare_candidates(scores, [candidate(name) for name in scores], 1 / 9)
    assert compared.index[0] == "qda_shrunk"
    assert select(compared).name == "lda"
    alone = compared.assign(within=compared.index == "qda_shrunk")
    assert select(alone).name == "qda_shrunk"
    assert "No simpler one" in select(alone).sentence


def test_prediction_sets_cover_what_they_promise_over_a_thousand_splits():
    counted = coverage(build(candidate("lda")), X, Y, splits=1000, random_state=7)
    assert counted["alpha"].tolist() == [0.05, 0.1, 0.2]
    assert counted["covered"].between(counted["low"], counted["high"]).all()


def test_a_candidate_that_cannot_be_fitted_is_out_and_the_others_go_on():
    few = np.concatenate([np.flatnonzero(k == Y)[:5] for k in range(3)])
    tried = try_candidates(
        [candidate("qda"), candidate("lda")], X[few], Y[few], make_folds(Y[few], 5, 2), jobs=1, progress=False
    )
    assert list(tried.probabilities) == ["lda"]
    assert tried.excluded["qda"].startswith(
        "quadratic discriminant analysis is out: it can't be fitted: The covariance"
    )


def test_a_candidate_whose_probabilities_are_no_numbers_is_out():
    class Nothing(LogisticRegression):
        def predict_proba(self, X):
            return super().predict_proba(X) * np.nan

    tried = try_candidates([Candidate("nothing", "nothing", 1, Nothing)], X, Y, make_folds(Y, 3, 1), 1, progress=False)
    assert tried.excluded == {"nothing": "nothing is out: it gives probabilities that are no numbers."}


def test_what_is_not_reached_in_time_is_out_but_something_is_always_tried():
    three = [candidate(name) for name in ("lda", "naive_bayes", "qda")]
    tried = try_candidates(three, X, Y, make_folds(Y, 3, 1), jobs=1, seconds=0, progress=False)
    assert list(tried.probabilities) == ["lda"]
    assert "ended after 0 of 3 folds" in tried.excluded["qda"]


def test_candidates_tried_one_by_one_answer_as_in_one_cross_validation(folds):
    few = dataclasses.replace(folds, fold=folds.fold[:2])
    for jobs in (1, 2):
        tried = try_candidates([candidate("lda"), candidate("random_forest")], X, Y, few, jobs, progress=False)
        for name, P in tried.probabilities.items():
            assert (cross_validate({name: build(candidate(name))}, X, Y, few, 1, False)[name] == P).all()


@pytest.mark.parametrize("seconds", [0.01, 1, 1e6])
@pytest.mark.parametrize("rows", [200, 20_000])
def test_a_plan_keeps_to_its_time_and_accounts_for_every_candidate(rows, seconds):
    y = np.arange(rows) % 2
    wide = np.random.default_rng(0).normal(size=(rows, 3)) + y[:, None]
    tried = [candidate(name) for name in ("lda", "naive_bayes", "k_nearest", "logistic_regression")]
    plan = plan_candidates(tried, wide, y, jobs=1, seconds=seconds)
    assert plan.seconds <= seconds
    assert {c.name for c in plan.candidates} | set(plan.excluded) == {c.name for c in tried}
    assert not {c.name for c in plan.candidates} & set(plan.excluded)
    assert 1 <= plan.repeats <= 10
    assert ("k_nearest" in plan.excluded and "at most, and there are 20,000" in plan.excluded["k_nearest"]) == (
        rows == 20_000
    )


def test_where_there_is_time_nothing_is_left_out_and_every_repeat_is_made():
    plan = plan_candidates(CANDIDATES, X, Y, jobs=1, seconds=1e6)
    assert ({c.name for c in plan.candidates}, plan.repeats) == ({c.name for c in CANDIDATES}, 10)


def test_evidence_keeps_to_its_time_and_says_on_how_many_splits_it_rests():
    counted = coverage(build(candidate("lda")), X, Y, splits=1000, seconds=0)
    assert counted["splits"].tolist() == [20, 20, 20]
    assert counted["low"].lt(counted["expected"]).all()
    folds = make_folds(Y, 5, 2)
    model = build(candidate("lda"))
    curves = [learning_curve(model, X, Y, f, seconds=0) for f in (folds, make_folds(Y, 5, 1))]
    assert curves[0].equals(curves[1])
    assert permutation_importance(model, X, Y, folds, shuffles=1, schema=IRIS, seconds=0).notna().all(axis=None)


def test_a_sample_has_its_declared_size_and_the_classes_in_their_shares():
    y = np.array([0] * 9000 + [1] * 1000)
    sample = stratified_sample(y, 500)
    assert len(set(sample)) == 500
    assert (y[sample] == 1).sum() == 50
    assert (sample == stratified_sample(y, 500)).all()
    assert (stratified_sample(y, 10_000) == np.arange(10_000)).all()
