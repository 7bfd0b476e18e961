"""What is the same for every request, and the fast path."""

import pytest
from litestar.exceptions import WebSocketDisconnect


def test_a_websocket_is_turned_away(client):
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/predict"):
        pass


def test_every_answer_carries_the_security_headers_and_an_id(client, row):
    for answer in (client.get("/"), client.post("/predict", json=row), client.post("/predict"), client.get("/no")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["content-security-policy"]
        assert answer.headers["x-request-id"]
        assert answer.headers["cache-control"] == "no-store"


def test_web_pages_may_not_call_unless_their_origin_is_set(client, row):
    answer = client.post("/predict", json=row, headers={"origin": "https://a.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_web_pages_of_a_set_origin_may_call(make_client, row):
    client = make_client(cors_origins=("https://a.example",))
    ours, other = {"origin": "https://a.example"}, {"origin": "https://b.example"}
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key, content-type"}
    assert client.options("/predict", headers=ours | asked).status_code == 204
    assert client.options("/predict", headers=other | asked).status_code == 400
    for send in (lambda h: client.post("/predict", json=row, headers=h), lambda h: client.get("/health", headers=h)):
        assert send(ours).headers["access-control-allow-origin"] == "https://a.example"
        assert "access-control-allow-origin" not in send(other).headers


def test_the_request_id_is_the_callers_or_a_new_one(client, row):
    assert client.post("/predict", json=row, headers={"x-request-id": "a-1"}).headers["x-request-id"] == "a-1"
    made = client.post("/predict", json=row, headers={"x-request-id": 'no "good"'}).headers["x-request-id"]
    assert len(made) == 36


@pytest.mark.parametrize("path", ["/predict/", "/predict//"])
def test_a_path_written_carelessly_is_the_same_path(client, row, path):
    assert client.post(path, json=row).status_code == 200
