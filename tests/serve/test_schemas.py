"""What goes over the wire follows the schema."""

import pytest

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
