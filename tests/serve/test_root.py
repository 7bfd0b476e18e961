"""The way in."""

from iris_nb.table import SCHEMA


def test_the_root_says_what_this_is_and_every_link_works(client):
    found = client.get("/").json()
    assert found["classes"] == list(SCHEMA.classes)
    for path in found["links"].values():
        assert client.get(path).status_code in (200, 405), path
