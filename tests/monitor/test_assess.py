"""Accuracy that was only estimated is not called good while drift is an alarm."""

import numpy as np
import pandas as pd
import pytest

from iris_nb.audit.sample import WindowSample
from iris_nb.dashboard.model_health import quality_part
from iris_nb.dashboard.status import _quality_light
from iris_nb.examples import IRIS, irises
from iris_nb.monitor.assess import assess
from iris_nb.monitor.report import ORDER, Report, Verdict, _worst_state
from iris_nb.predict.predictor import Predictor
from tests.conftest import bundle_maker


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor.load(bundle_maker(IRIS, irises())(tmp_path_factory.mktemp("irises")), IRIS)


@pytest.fixture
def answered(predictor):
    "Rows near the reference row that the model is surest of, or drawn from the reference, with some true classes."
    schema, (X, _) = predictor.schema, predictor.bundle.reference

    def make(drifted, labels=0, right=True):
        rng = np.random.default_rng(1)
        surest = X[predictor.probabilities(X).max(axis=1).argmax()]
        rows = np.abs(surest * rng.uniform(0.9, 1.1, (120, len(surest)))) if drifted else rng.permutation(X)[:120]
        P = predictor.probabilities(rows)
        found = pd.DataFrame(rows, columns=list(schema.names)).assign(
            label=predictor.labels(P), confidence=P.max(axis=1), probabilities=P.tolist(), duration_ms=1.0
        )
        other = {c: schema.classes[i - 1] for i, c in enumerate(schema.classes)}
        truth = found["label"] if right else found["label"].map(other)
        moments = pd.date_range("2026-05-01", periods=len(found), freq="min", tz="UTC")
        return found.assign(time=moments, true_label=truth.where(found.index < labels, None))

    return make


def test_an_estimate_is_good_where_nothing_drifts(predictor, answered):
    report = assess(predictor, answered(drifted=False), "24h")
    assert (report.drifting, report.quality, report.state) == ("good", "good", "good")


def test_confident_answers_to_rows_unlike_training_are_not_called_good(predictor, answered):
    report = assess(predictor, answered(drifted=True), "24h")
    assert report.accuracy.value > 0.95
    assert (report.drifting, report.quality) == ("alarm", "unsure")
    assert "differ from the training sample" in report.sentence
    assert "It takes 20 true classes" in report.sentence


def test_a_few_labels_do_not_settle_it_and_are_counted(predictor, answered):
    report = assess(predictor, answered(drifted=True, labels=7), "24h")
    assert report.quality == "unsure"
    assert "7 are known" in report.sentence


@pytest.mark.parametrize(("right", "state"), [(True, "good"), (False, "alarm")])
def test_enough_labels_settle_it_whatever_drifts(predictor, answered, right, state):
    assert assess(predictor, answered(drifted=True, labels=40, right=right), "24h").quality == state


def test_the_page_shows_the_same_verdict(predictor, answered):
    rows = answered(drifted=True)
    report = assess(predictor, rows, "24h")
    assert report.sentence in _quality_light(report).replace("&#x27;", "'")
    figure = quality_part(predictor, WindowSample(0, 1, len(rows), pd.DataFrame(), rows), report)[1]
    assert "probably right" not in figure.layout.title.text
    assert "unlike" in figure.layout.title.text


def test_states_have_one_order():
    assert _worst_state(ORDER) == "alarm"
    assert _worst_state(["good", "unsure"]) == "unsure"
    assert _worst_state([]) == "unsure"


def test_drift_that_nothing_could_be_said_of_is_not_good():
    assert Report(0.0, "24h", 3, [Verdict("x", "unsure", "Too few.")], "good", "Fine.").state == "unsure"


def test_labels_from_before_the_drift_do_not_settle_what_came_after(predictor, answered):
    rows = pd.concat([answered(drifted=False, labels=60), answered(drifted=True)], ignore_index=True)
    rows["time"] = pd.date_range("2026-05-01", periods=len(rows), freq="min", tz="UTC")
    report = assess(predictor, rows, "24h")
    assert (report.drifting, report.quality) == ("alarm", "unsure")
    assert "none are known" in report.sentence
