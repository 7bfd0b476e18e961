"""Whatever a declaration says works everywhere, or is refused by the declaration itself."""

import dataclasses
import keyword

import msgspec
import pytest
import uuid_utils
from hypothesis import example, given, settings
from hypothesis.strategies import one_of, sampled_from, text
from sqlalchemy import create_engine, inspect

from iris_nb.audit.log import AuditLog, Entry, ids_of
from iris_nb.examples import HOUSES
from iris_nb.schema import _RESERVED, Number, Schema, differences, from_json, to_json
from serve import schemas

HOSTILE = (
    "class",
    "None",
    "id",
    "time",
    "Label",
    "select",
    "größe",
    "\ufb01",
    "_x",
    "__init__",
    "x" * 64,
    "é" * 32,
    "A b",
    "",
)
CLASSES = ("New York", "<b>", "O'Brien", '"', "null", "0", "a,b", "x" * 101, " a", "a\nb", "\ud800", "é", "")
words = one_of(text(max_size=70), sampled_from(HOSTILE), sampled_from(keyword.kwlist))


def declared(feature="height", row="person", name="people", target="team", classes=("red", "blue")) -> Schema:
    features = (Number(feature, "m", 0, 3, "Height.", 1.7), Number("weight", "kg", 1, 300, "Weight.", 70))
    return Schema(name, row, features, target, tuple(classes))


@settings(max_examples=20)
@given(feature=words, one=one_of(text(max_size=110), sampled_from(CLASSES)), other=sampled_from(("Blue", "é")))
@example(feature="class", one="New York", other="é")
@example(feature="größe", one="<script>", other="é")
def test_names_of_columns_and_classes_work_through_wire_and_log_or_are_refused(feature, one, other, tmp_path_factory):
    try:
        schema = declared(feature=feature, classes=(one, other))
    except ValueError:  # its sentences are tested below
        return
    assert from_json(to_json(schema)) == schema
    row = schemas.row_type(schema)
    decoded = msgspec.json.decode(msgspec.json.encode(schema.example), type=row)
    assert msgspec.structs.astuple(decoded) == (1.7, 70.0)
    assert feature in msgspec.json.schema_components([row])[1][row.__name__]["properties"]
    id = ids_of(str(uuid_utils.uuid7()), 1)[0]
    with AuditLog.open(tmp_path_factory.mktemp("log") / "audit.db", schema) as log:
        log.append([Entry(id, "r", 1, "m", "1", 1.0, None, [[1.7, 70.0]], [one], [0.9], [[0.9, 0.1]])])
        log.label(id, other)
        found = log.get(id)
    assert (found[feature], found["label"], found["true_label"]) == (1.7, one, other)


@pytest.mark.parametrize("name", ["", "my table", "a/b", "../x", ".x", "1st", "größe", "x" * 41, "a:b"])
def test_a_name_that_is_no_folder_or_registered_model_is_refused(name):
    with pytest.raises(ValueError, match="its name"):
        declared(name=name)


@pytest.mark.parametrize(
    ("feature", "why"), [("True", "a truth value"), ("FALSE", "a truth value"), ("xmin", "every table a column")]
)
def test_a_feature_that_a_database_keeps_for_itself_is_refused(feature, why):
    with pytest.raises(ValueError, match=why):
        declared(feature=feature)


@pytest.mark.parametrize("row", ["", "a/b", "1st", "naïve row", " x", "x ", "two  blanks", 'x"y', "x" * 41])
def test_a_word_for_a_row_that_can_not_name_a_struct_is_refused(row):
    with pytest.raises(ValueError, match="a row is called"):
        declared(row=row)


OWN = [name for name, kind in vars(schemas).items() if isinstance(kind, type) and kind.__module__ == schemas.__name__]


@pytest.mark.parametrize("row", sorted({*OWN, "Batch", "row", "label", "card"}))
def test_a_row_may_be_called_like_one_of_our_own_structs(row):
    assert not hasattr(schemas, schemas.row_type(declared(row=row)).__name__)


@pytest.mark.parametrize("pair", [("a", "A"), ("New York", "new  york"), ("é", "É")])
def test_classes_that_differ_by_case_or_blanks_only_are_refused(pair):
    with pytest.raises(ValueError, match="each named once"):
        declared(classes=pair)


@pytest.mark.parametrize("bound", [float("inf"), float("nan")])
def test_bounds_are_numbers(bound):
    with pytest.raises(ValueError, match="needs bounds that are numbers"):
        Schema("people", "person", (Number("height", "m", 0, bound, "Height.", 1.7),), "team", ("red", "blue"))


def test_every_column_of_the_log_is_reserved(tmp_path):
    with AuditLog.open(tmp_path / "audit.db", declared()):
        pass
    tables = inspect(create_engine(f"sqlite:///{tmp_path / 'audit.db'}"))
    columns = {c["name"] for name in ("requests", "rows") for c in tables.get_columns(name)}
    assert columns - {"height", "weight"} <= _RESERVED


def test_everything_that_is_wrong_is_said_at_once():
    with pytest.raises(ValueError, match="can't be called") as caught:
        declared(feature="time", row="", name="a b", classes=("a",))
    assert str(caught.value).count(";") >= 3


def test_a_declaration_needs_a_feature():
    with pytest.raises(ValueError, match="it has no features"):
        Schema("people", "person", (), "team", ("red", "blue"))


def test_schemas_that_differ_in_one_feature_name_that_one():
    other = dataclasses.replace(HOUSES.features[0], unit="acres")
    changed = dataclasses.replace(HOUSES, features=(other, *HOUSES.features[1:]))
    (said,) = differences(HOUSES, changed)
    assert said == "features are area (acres); expected area (m²); the other 7 are alike"


def test_schemas_with_the_same_features_in_another_order_differ():
    assert differences(HOUSES, dataclasses.replace(HOUSES, features=HOUSES.features[::-1])) == [
        "features are in another order"
    ]


def test_a_unit_that_ends_a_name_is_not_said_twice():
    labels = [
        Number(name, unit, 0, 9, "", 1).label for name, unit in (("bill_mm", "mm"), ("bill", "mm"), ("a_eur", "EUR"))
    ]
    assert labels == ["bill (mm)", "bill (mm)", "a (EUR)"]
    assert Number("comm", "mm", 0, 9, "", 1).label == "comm (mm)"
