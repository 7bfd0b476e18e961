"""The way in."""

from iris_nb.examples import HOUSES
from iris_nb.table import SCHEMA


def test_the_root_says_what_this_is_and_every_link_works(client):
    found = client.get("/").json()
    assert found["classes"] == list(SCHEMA.classes)
    for path in found["links"].values():
        assert client.get(path).status_code in (200, 405), path


def test_it_says_what_each_feature_is(houses):
    found = houses.get("/").json()
    told = {f["name"]: f for f in found["features"]}
    assert list(told) == list(HOUSES.names)
    assert [f["kind"] for f in found["features"][:3]] == ["number", "number", "category"]
    assert told["condition"]["levels"] == ["poor", "fair", "good"]
    assert (told["built"]["low"], told["rent"]["high"], told["garden"]["low"]) == ("1850-01-01", 20000, None)
    assert [name for name in told if told[name]["missing"]] == ["heating", "garden", "rent"]
    assert found["costs"] == [[0, 1], [5, 0]]


def test_the_card_says_what_each_feature_is(houses):
    told = houses.get("/model/info").json()["schema"]
    assert [f["kind"] for f in told["features"]] == [f.kind for f in HOUSES.features]
    assert told["costs"] == [[0, 1], [5, 0]]
