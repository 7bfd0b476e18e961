"""The routes around the predictions: the way in, health, metrics, documentation."""

import re

import pytest

from iris_nb.schema import Feature, Schema
from iris_nb.table import SCHEMA
from serve import schemas


def test_the_root_says_what_this_is_and_every_link_works(client):
    found = client.get("/").json()
    assert found["classes"] == list(SCHEMA.classes)
    for path in found["links"].values():
        assert client.get(path).status_code in (200, 405), path


def test_health_names_model_database_and_uptime(client):
    answer = client.get("/health")
    assert answer.status_code == 200
    found = answer.json()
    assert found["status"] == "healthy"
    assert (found["model"], found["database"], found["model_version"]) == ("ok", "ok", "1")
    assert found["uptime_seconds"] >= 0
    assert found["faults"] == []


def test_without_a_model_it_lives_but_is_not_ready_and_says_why(make_client, tmp_path):
    client = make_client(home=tmp_path / "empty")
    assert client.get("/health/live").status_code == 200
    for path in ("/health", "/health/ready"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert "make train" in answer.json()["faults"][0]
    assert client.get("/model/info").status_code == 503
    assert client.get("/").json()["model"] is None


def test_metrics_speak_to_prometheus(client, row):
    client.post("/predict", json=row)
    client.post("/predict", json={})
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.text
    assert 'iris_requests_total{method="POST",path="/predict",status="200"} 1.0' in text
    assert 'iris_requests_total{method="POST",path="/predict",status="400"} 1.0' in text
    assert f'iris_predictions_total{{label="{SCHEMA.classes[0]}"}} 1.0' in text
    assert f'iris_model{{name="{SCHEMA.name}_test",version="1"}} 1.0' in text
    for name in ("iris_request_seconds", "iris_confidence", "iris_group_rows", "iris_commit_seconds"):
        assert f"{name}_bucket" in text
    for name in ("iris_queue_rows", "iris_ready", "iris_audit_failures_total", "process_resident_memory_bytes"):
        assert re.search(rf"^{name} ", text, re.MULTILINE)


def test_metrics_sum_up_for_people(client, row):
    for body in (row, row, row, {}):
        client.post("/predict", json=body)
    found = client.get("/metrics", headers={"accept": "application/json"}).json()
    assert found["requests"] == 4
    assert found["error_rate"] == 0.25
    assert found["predictions"] == 3
    assert found["classes"] == {SCHEMA.classes[0]: 1.0}
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]
    assert 1 / len(SCHEMA.classes) <= found["mean_confidence"] <= 1


def test_callers_can_not_make_new_series(client, row):
    for i in range(5):
        client.get(f"/predictions/{i}")
        client.get(f"/nothing/{i}")
        client.request(f"M{i}", "/")
    series = {line for line in client.get("/metrics").text.splitlines() if line.startswith("iris_requests_total")}
    assert len(series) == 3
    assert any('path="/predictions/{id}"' in line for line in series)


def test_the_documentation_loads_nothing_from_elsewhere(client):
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "://" not in page.text
    for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert client.get(path).status_code == 200, path
    assert "default-src 'self'" in page.headers["content-security-policy"]


def test_the_documentation_serves_no_other_file(client):
    assert client.get("/docs/LICENSE").status_code == 404
    assert client.get("/docs/..%2f__init__.py").status_code == 404


@pytest.fixture
def openapi(client):
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def test_openapi_tells_the_schema_in_full(openapi):
    assert openapi["openapi"].startswith("3.1")
    told = openapi["components"]["schemas"][SCHEMA.row.title()]
    assert told["additionalProperties"] is False
    assert told["required"] == list(SCHEMA.names)
    for f in SCHEMA.features:
        found = told["properties"][f.name]
        assert (found["minimum"], found["maximum"], found["x-unit"]) == (f.low, f.high, f.unit)
        assert found["examples"] == [f.example]
        assert f.description in found["description"]


def test_every_operation_has_an_id_a_summary_and_its_errors(openapi):
    operations = [o for path in openapi["paths"].values() for o in path.values()]
    assert len({o["operationId"] for o in operations}) == len(operations) == 13
    for operation in operations:
        assert operation["summary"]
        assert operation["tags"]
    told = openapi["paths"]["/predict"]["post"]["responses"]
    assert set(told) == {"200", "400", "401", "408", "413", "415", "429", "503"}
    assert told["400"]["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_every_reference_in_openapi_leads_somewhere(openapi, client):
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', client.get("/openapi.json").text))
    assert references <= set(openapi["components"]["schemas"])


def test_a_changed_bound_changes_the_wire_and_its_documentation():
    import msgspec

    speed = Feature("speed", "m/s", low=2, high=3, description="How quick.", example=2.5)
    other = Schema("birds", "song bird", (speed,), "kind", ("tit", "wren"))
    row = schemas.row_type(other)
    decode = msgspec.json.Decoder(row).decode
    assert decode(b'{"speed": 3}').speed == 3
    with pytest.raises(msgspec.ValidationError):
        decode(b'{"speed": 3.01}')
    told = msgspec.json.schema_components([row])[1]["SongBird"]["properties"]["speed"]
    assert (told["minimum"], told["maximum"], told["x-unit"]) == (2, 3, "m/s")


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
