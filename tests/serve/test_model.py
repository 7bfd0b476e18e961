"""Which model answers, and how another takes over."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from iris_nb.bundle import champion, point_champion
from iris_nb.keys import new_key
from iris_nb.table import SCHEMA

SECRET, KEY = new_key("operator")


HEADERS = {"x-api-key": SECRET}


FIRST, SECOND = f"{SCHEMA.name}_test-1", f"{SCHEMA.name}_test-2"


@pytest.fixture
def client(make_client):
    "A service that looks for champions only when it is told."
    return make_client(api_keys=(KEY,), watch_seconds=3600)


def version(client):
    return client.get("/model/info", headers=HEADERS).json()["version"]


def test_model_info_is_the_card(client):
    found = client.get("/model/info", headers=HEADERS).json()
    assert (found["name"], found["version"]) == (f"{SCHEMA.name}_test", "1")
    assert found["description"] == "A model for tests."
    assert [f["name"] for f in found["schema"]["features"]] == list(SCHEMA.names)


def test_reload_brings_the_new_champion(client, home, row):
    before = client.post("/predict", json=row, headers=HEADERS).json()
    point_champion(home / "bundles", SECOND)
    assert version(client) == "1"
    assert client.post("/model/reload", headers=HEADERS).json()["version"] == "2"
    after = client.post("/predict", json=row, headers=HEADERS).json()
    assert (before["model_version"], after["model_version"]) == ("1", "2")
    assert before["probabilities"] != after["probabilities"]


def test_rollback_brings_the_champion_before(client, home):
    point_champion(home / "bundles", SECOND)
    client.post("/model/reload", headers=HEADERS)
    assert client.post("/model/rollback", headers=HEADERS).json()["version"] == "1"
    assert champion(home / "bundles").name == FIRST


def test_rollback_without_a_champion_before_is_a_409(client):
    answer = client.post("/model/rollback", headers=HEADERS)
    assert answer.status_code == 409
    assert "no champion before" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/model/reload", "/model/rollback"])
def test_changing_the_model_needs_a_key_even_where_nothing_else_does(client, make_client, path):
    assert client.post(path).status_code == 401
    answer = make_client().post(path)
    assert answer.status_code == 401
    assert "IRIS_API_KEYS" in answer.json()["detail"]


def spoil(home, name):
    "Change a file of the second version."
    path = home / "bundles" / SECOND / name
    path.write_bytes(path.read_bytes()[:-1] + b"\0")


def test_reloading_a_broken_champion_is_a_409_that_says_why(client, home):
    point_champion(home / "bundles", SECOND)
    spoil(home, "model.onnx")
    answer = client.post("/model/reload", headers=HEADERS)
    assert answer.status_code == 409
    assert "model.onnx" in answer.json()["detail"]
    assert str(home) not in answer.text
    assert version(client) == "1"


def test_many_rollbacks_at_once_go_one_step_each_or_are_refused(client, home):
    for name in (SECOND, FIRST, SECOND):
        point_champion(home / "bundles", name)
    with ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(lambda _: client.post("/model/rollback", headers=HEADERS).status_code, range(12)))
    assert sorted(set(statuses)) == [200, 409]
    assert statuses.count(200) == 3
    assert champion(home / "bundles").name == FIRST
