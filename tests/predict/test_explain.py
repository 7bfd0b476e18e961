"""Why a row got its class, and what would change it."""

from dataclasses import replace

import numpy as np

from iris_nb.examples import HOUSES, IRIS, houses, irises
from iris_nb.predict.explain import (
    Counterfactual,
    _log_odds_slopes,
    contributions,
    counterfactual,
    counterfactual_sentence,
    mixed_distances,
    nearest_neighbours,
    percentile_ranks,
    same_shares,
)
from iris_nb.schema import Schema, encode_columns
from iris_nb.train.candidates import build, candidate
from iris_nb.train.data import arrays


def test_without_a_change_that_turns_the_answer_it_is_said():
    assert counterfactual_sentence(None, IRIS.example, IRIS).startswith("No change of a single feature")


def test_the_change_that_is_named_turns_every_answer():
    X, y = arrays(irises(), IRIS)
    model = build(candidate("lda")).fit(X, y)
    for x in X:
        flip = counterfactual(model.predict_proba, X, x, IRIS)
        sentence = counterfactual_sentence(flip, dict(zip(IRIS.names, x, strict=True)), IRIS)
        words = sentence.split()
        changed = x.copy()
        changed[IRIS.names.index(flip.feature)] = float(words[words.index("of") + 1])
        assert IRIS.classes[model.predict_proba(changed[None]).argmax()] == flip.answer, sentence


def test_a_model_that_is_certain_everywhere_has_no_slopes():
    def certain(X: np.ndarray) -> np.ndarray:
        return np.tile([1.0, 0.0, 0.0], (len(X), 1))

    trained = np.random.default_rng(0).normal(size=(50, len(IRIS.names)))
    assert _log_odds_slopes(certain, trained, 0, 1) is None


HOMES = np.column_stack(
    encode_columns(
        HOUSES, houses(80)[list(HOUSES.names)].astype(object).where(lambda t: t.notna(), None).values.tolist()
    )
)


def estate(X: np.ndarray) -> np.ndarray:
    "Return probabilities that depend on categories, gaps, whole numbers and a date."
    z = (
        1.2 * X[:, 3]
        + (X[:, 2] == 2)
        + np.nan_to_num(X[:, 5])
        - 2 * np.isnan(X[:, 2])
        + X[:, 1] / 10
        + X[:, 6] / 2e4
        - 3
    )
    return np.column_stack([1 / (1 + np.exp(z)), 1 / (1 + np.exp(-z))])


def changes(schema: Schema = HOUSES) -> list[tuple[np.ndarray, Counterfactual]]:
    found = [(x, counterfactual(estate, HOMES, x, schema)) for x in HOMES]
    return [(x, change) for x, change in found if change]


def test_a_change_of_any_kind_is_a_value_of_its_feature_and_turns_the_answer():
    names = set()
    for x, change in changes():
        feature = next(f for f in HOUSES.features if f.name == change.feature)
        changed = x.copy()
        changed[HOUSES.names.index(feature.name)] = feature.encode(change.value)
        assert feature.accepts(change.value)
        assert change.value not in (None, "other")
        assert HOUSES.classes[estate(changed[None]).argmax()] == change.answer
        names.add(change.feature)
    assert {"heating", "condition", "rooms"} <= names


def test_nothing_suggests_to_change_a_feature_that_is_fixed():
    fixed = tuple(replace(f, fixed=f.name in ("heating", "condition")) for f in HOUSES.features)
    assert not {"heating", "condition"} & {change.feature for _, change in changes(replace(HOUSES, features=fixed))}


def test_a_change_of_a_category_names_both_values_and_their_feature():
    change = Counterfactual("heating", "heat pump", "quickly", 1.0)
    said = counterfactual_sentence(change, {"heating": "gas"}, HOUSES)
    assert said == "With heat pump instead of gas for heating it would be quickly."
    assert "instead of missing" in counterfactual_sentence(change, {"heating": None}, HOUSES)


def test_a_change_of_a_date_names_days():
    change = Counterfactual("built", "2001-02-03", "quickly", 1.0)
    assert "With 2001-02-03 instead of 1987-05-01 for built" in counterfactual_sentence(change, HOUSES.example, HOUSES)


def test_every_feature_has_either_a_rank_or_the_share_of_rows_like_it():
    for x in HOMES:
        ranks, shares = percentile_ranks(HOMES, x, HOUSES), same_shares(HOMES, x, HOUSES)
        assert sorted([*ranks, *shares]) == sorted(HOUSES.names)
        assert all(0 <= share <= 1 for share in (*ranks.values(), *shares.values()))
        assert all(shares[name] > 0 for name in shares)


def test_a_row_is_its_own_nearest_neighbour_and_a_gap_or_another_category_is_one_away():
    scale = np.ones(len(HOUSES.names))
    full = HOMES[~np.isnan(HOMES).any(axis=1)][0]
    gap, other = full.copy(), full.copy()
    gap[HOUSES.names.index("rent")] = np.nan
    other[HOUSES.names.index("condition")] = (full[HOUSES.names.index("condition")] + 2) % 3
    assert mixed_distances(np.array([full, gap, other]), full, HOUSES, scale).tolist() == [0, 1, 1]
    assert mixed_distances(gap[None], gap, HOUSES, scale).tolist() == [0]


def test_neighbours_are_shown_as_values():
    near = nearest_neighbours(HOMES, ["quickly"] * len(HOMES), HOMES[0], HOUSES, most=3)
    assert near["distance"].iloc[0] == 0
    assert set(near["condition"]) <= {"poor", "fair", "good"}
    assert all(HOUSES.features[6].accepts(day) for day in near["built"])


def test_contributions_of_a_mixed_table_are_sampled_and_finite():
    why = contributions(estate, HOMES, HOMES[0], HOUSES)
    assert not why.is_exact
    assert all(np.isfinite(term) for term in why.terms.values())
    assert abs(why.terms["area"]) < 1e-9  # the model does not look at it
