"""What a model is fitted on."""

import numpy as np
import pytest

from iris_nb.examples import IRIS
from iris_nb.kinds import _PARTS
from iris_nb.schema import Category, Date, Number
from iris_nb.session import open_session, run_session
from iris_nb.train.encoding import TableEncoder, encoded_width, encoder_for, native_categories
from iris_nb.train.graph import Graph, apply
from iris_nb.train.onnx_export import random_rows
from tests.train.made import rows, schema

MADE = schema()


def made_of(*names):
    "Some of the features."
    return tuple(f for f in MADE.features if f.name in names)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("values", [12, 300])
@pytest.mark.parametrize(("categories", "fill"), [("one_hot", True), ("target", True), ("position", False)])
def test_the_graph_encodes_to_the_last_bit_as_training_does(categories, fill, values, classes):
    made = schema(classes, values)
    X, y = rows(made)
    encoder = TableEncoder(made.features, categories, fill, random_state=0).fit(X, y)
    asked = random_rows(made, 2000)
    expected = encoder.transform(asked)
    found = run_session(open_session(apply(encoder.encode, asked.shape[1], expected.shape[1])), asked)
    assert np.array_equal(found, expected, equal_nan=True)
    assert (
        len(encoder.get_feature_names_out()) == expected.shape[1] <= encoded_width(made.features, categories, classes)
    )
    assert np.isnan(expected).any() != fill


def test_the_parts_of_a_date_are_those_of_the_calendar_on_every_day_of_it():
    every = np.arange(-719162, 2932897)
    since = Date("since", "0001-01-01", "9999-12-31", "Since when.", "2000-01-01", parts=_PARTS)
    found = TableEncoder((since,)).fit_transform(every[:, None].astype(float))
    day = np.datetime64("1970-01-01") + every
    month, year = day.astype("datetime64[M]"), day.astype("datetime64[Y]")
    expected = [every, year.astype(int) + 1970, month.astype(int) % 12 + 1, (day - month).astype(int) + 1]
    assert (found == np.column_stack([*expected, (every + 3) % 7])).all()
    assert found[719162 + 20782].tolist() == [20782, 2026, 11, 25, 2]


def test_a_category_is_a_column_for_each_value_and_one_for_a_gap():
    shape = Category("shape", ("round", "long"), "Its shape.", "long", missing=True)
    encoder = TableEncoder((shape,)).fit(np.array([[0.0], [1]]))
    assert encoder.transform(np.array([[0.0], [1], [np.nan]])).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert encoder.get_feature_names_out().tolist() == ["shape round", "shape long", "shape missing"]


def test_a_gap_becomes_the_median_of_the_fold_and_is_marked():
    income = Number("income", "EUR", 0, 9, "Income.", 1, missing=True)
    encoder = TableEncoder((income,)).fit(np.array([[1.0], [2], [6], [np.nan]]))
    assert encoder.transform(np.array([[np.nan], [5]])).tolist() == [[2, 1], [5, 0]]
    assert encoder.get_feature_names_out().tolist() == ["income", "income missing"]


def test_a_column_without_a_value_and_one_without_a_gap_in_the_fold_can_both_be_missing_later():
    for known in (np.full((4, 1), np.nan), np.arange(4.0)[:, None]):
        encoder = TableEncoder((Number("income", "EUR", 0, 9, "Income.", 1, missing=True),)).fit(known)
        assert np.isfinite(encoder.transform(np.array([[np.nan], [5.0]]))).all()


def test_a_category_that_the_fold_has_not_seen_gets_the_average_of_all_rows():
    place = Category("place", ("a", "b", "c"), "Where.", "a")
    X, y = np.array([[0.0], [0], [0], [1], [1], [1]]), np.array([0, 0, 0, 1, 1, 0])
    encoder = TableEncoder((place,), "target", random_state=0).fit(X, y)
    assert encoder.transform(np.array([[2.0]]))[0, 0] == pytest.approx(y.mean())


def test_target_encoding_is_fitted_on_averages_that_do_not_know_the_rows_own_class():
    random = np.random.default_rng(0)
    place = Category("place", tuple(map(str, range(200))), "Where.", "1")
    X, y = np.arange(200.0)[:, None], random.integers(0, 2, 200)
    fitted_on = TableEncoder((place,), "target", random_state=0).fit_transform(X, y)
    assert abs(np.corrcoef(fitted_on[:, 0], y)[0, 1]) < 0.3


def test_target_encoding_stands_a_class_of_one_row():
    X, y = rows(schema())
    y = np.where(np.arange(len(y)) == 0, 2, y)
    assert np.isfinite(TableEncoder(MADE.features, "target", random_state=0).fit_transform(X, y)).all()


def test_plain_numbers_need_no_encoder():
    assert encoder_for(IRIS.features) is None
    assert encoder_for(()) is None
    assert encoder_for(made_of("rooms")) is not None


def test_trees_get_gaps_as_they_are_without_a_node_but_of_a_column_of_nothing_else():
    X = np.array([[1.0, np.nan], [np.nan, np.nan]])
    encoder = encoder_for(made_of("income", "rooms"), "position", fill=False)
    assert np.array_equal(encoder.fit_transform(X), [[1, 0], [np.nan, 0]], equal_nan=True)
    graph = Graph()
    assert encoder.fit(np.array([[1.0, 2], [np.nan, 3]])).encode(graph.x).name == "X"
    assert not graph.nodes


def test_trees_are_given_the_places_of_the_categories_that_they_split_themselves():
    assert [MADE.features[j].name for j in (4, 6)] == ["shape", "place"]
    names = TableEncoder(MADE.features, "position", fill=False).fit(*rows(MADE)).get_feature_names_out()
    assert [names[j] for j in native_categories(MADE.features)] == ["shape", "place"]
    assert [names[j] for j in native_categories(schema(values=300).features)] == ["shape"]
