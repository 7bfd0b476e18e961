"""What goes over the wire follows the schema."""

import pytest

from iris_nb.examples import HOUSES
from iris_nb.schema import Number, Schema
from serve import schemas


def test_a_changed_bound_changes_the_wire_and_its_documentation():
    import msgspec

    speed = Number("speed", "m/s", low=2, high=3, description="How quick.", example=2.5)
    other = Schema("birds", "song bird", (speed,), "kind", ("tit", "wren"))
    row = schemas.row_type(other)
    decode = msgspec.json.Decoder(row).decode
    assert decode(b'{"speed": 3}').speed == 3
    with pytest.raises(msgspec.ValidationError):
        decode(b'{"speed": 3.01}')
    told = msgspec.json.schema_components([row])[1]["SongBird"]["properties"]["speed"]
    assert (told["minimum"], told["maximum"], told["x-unit"]) == (2, 3, "m/s")


@pytest.fixture
def house():
    "What OpenAPI says of a house, by field."
    return schemas.components(HOUSES)["House"]["properties"]


def test_the_document_says_of_each_kind_what_its_values_are(house):
    assert list(house) == list(HOUSES.names)
    assert house["rooms"]["type"] == "integer"
    assert house["condition"]["enum"] == ["poor", "fair", "good"]
    assert house["district"]["type"] == "string"
    assert house["built"]["format"] == "date"
    assert "From 1850-01-01 to 2050-12-31" in house["built"]["description"]
    assert house["area"]["x-unit"] == "m²"


def test_the_document_says_what_may_be_null_or_left_out(house):
    assert house["heating"]["enum"] == ["gas", "oil", "heat pump", None]
    assert house["garden"]["type"] == ["boolean", "null"]
    assert house["rent"]["type"] == ["number", "null"]
    required = schemas.components(HOUSES)["House"]["required"]
    assert required == ["area", "rooms", "condition", "district", "built"]


def test_every_field_of_the_document_has_its_words_and_an_example(house):
    for f in HOUSES.features:
        assert f.description in house[f.name]["description"]
        assert house[f.name]["examples"] == [f.example]


@pytest.mark.parametrize("count", [2, 100])
def test_the_document_lists_all_classes(count):
    many = Schema("many", "row", (Number("x", "", 0, 1, "A number.", 0.5),), "y", tuple(f"c{i}" for i in range(count)))
    told = schemas.components(many)
    assert told["LabelRequest"]["properties"]["label"] == {"enum": list(many.classes)}
    assert told["LoggedPrediction"]["properties"]["true_label"]["anyOf"][0] == {"enum": list(many.classes)}
    assert told["Answer"]["properties"]["decisions"]["items"] == {"enum": list(many.classes)}


@pytest.mark.parametrize("row", ["label", "row", "batch", "answer", "feature", "probabilities", "card", "schema"])
def test_a_row_may_be_called_like_a_part_of_the_document(row):
    called = Schema("rows", row, (Number("x", "", 0, 1, "A number.", 0.5),), "y", ("a", "b"))
    assert schemas.components(called)[f"{row.title()}Row"]["properties"]["x"]["maximum"] == 1
