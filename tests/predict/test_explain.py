"""Why a row got its class, and what would change it."""

import numpy as np

from iris_nb.predict.explain import _log_odds_slopes, counterfactual, counterfactual_sentence
from iris_nb.table import SCHEMA
from iris_nb.train.candidates import build, candidate
from iris_nb.train.data import arrays, load


def test_without_a_change_that_turns_the_answer_it_is_said():
    assert counterfactual_sentence(None, SCHEMA.example, SCHEMA).startswith("No change of a single feature")


def test_the_change_that_is_named_turns_every_answer():
    X, y = arrays(load())
    model = build(candidate("lda")).fit(X, y)
    for x in X:
        flip = counterfactual(model.predict_proba, X, x, SCHEMA)
        sentence = counterfactual_sentence(flip, dict(zip(SCHEMA.names, x, strict=True)), SCHEMA)
        words = sentence.split()
        changed = x.copy()
        changed[SCHEMA.names.index(flip.feature)] = float(words[words.index("of") + 1])
        assert SCHEMA.classes[model.predict_proba(changed[None]).argmax()] == flip.answer, sentence


def test_a_model_that_is_certain_everywhere_has_no_slopes():
    def certain(X: np.ndarray) -> np.ndarray:
        return np.tile([1.0, 0.0, 0.0], (len(X), 1))

    trained = np.random.default_rng(0).normal(size=(50, len(SCHEMA.names)))
    assert _log_odds_slopes(certain, trained, 0, 1) is None
