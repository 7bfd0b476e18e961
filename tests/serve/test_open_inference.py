"""The Open Inference Protocol v2: what its clients send and get."""

from collections.abc import Callable
from typing import Any

import pytest

from iris_nb.audit.log import AuditLog
from iris_nb.examples import HOUSES
from iris_nb.keys import new_key
from iris_nb.schema import Schema
from iris_nb.table import SCHEMA
from serve.tensors import datatype_of

INFER = f"/v2/models/{HOUSES.name}/infer"
GAPS = {f.name for f in HOUSES.features if f.missing}


def tensors_of(schema: Schema, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    "Rows as the protocol has them: a tensor for each feature."
    return [
        {"name": f.name, "shape": [len(rows)], "datatype": datatype_of(f), "data": [row.get(f.name) for row in rows]}
        for f in schema.features
    ]


def changed(feature: str, **fields: object) -> dict[str, Any]:
    "A request about the example house with one tensor changed."
    inputs = tensors_of(HOUSES, [HOUSES.example])
    return {"inputs": [tensor | fields if tensor["name"] == feature else tensor for tensor in inputs]}


def outputs(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {tensor["name"]: tensor["data"] for tensor in answer.json()["outputs"]}


def test_the_server_says_what_it_is_and_that_it_is_ready(houses):
    assert houses.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert houses.get(path).json() == {"live": True, "ready": True}
    for path in (f"/v2/models/{HOUSES.name}/ready", f"/v2/models/{HOUSES.name}_test/versions/1/ready"):
        assert houses.get(path).json()["ready"] is True


def test_without_a_model_nothing_is_ready(make_client, tmp_path):
    client = make_client(home=tmp_path / "empty")
    assert client.get("/v2/health/live").json() == {"live": True, "ready": False}
    for path in ("/v2/health/ready", f"/v2/models/{SCHEMA.name}/ready"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.json()["ready"] is False
    answer = client.get(f"/v2/models/{SCHEMA.name}")
    assert answer.status_code == 503
    assert "make train" in answer.json()["error"]


def test_the_metadata_follows_the_declaration(houses):
    found = houses.get(f"/v2/models/{HOUSES.name}").json()
    assert found["name"] == HOUSES.name
    assert found["versions"] == ["1"]
    assert {tensor["name"]: tensor["datatype"] for tensor in found["inputs"]} == {
        "area": "FP64",
        "rooms": "INT64",
        "heating": "BYTES",
        "condition": "BYTES",
        "district": "BYTES",
        "garden": "BOOL",
        "built": "BYTES",
        "rent": "FP64",
    }
    assert [(tensor["name"], tensor["datatype"], tensor["shape"]) for tensor in found["outputs"]] == [
        ("label", "BYTES", [-1]),
        ("probabilities", "FP64", [-1, 2]),
        ("prediction_id", "BYTES", [-1]),
        ("decision", "BYTES", [-1]),
    ]


def test_an_answer_is_that_of_predict_and_a_row_of_the_log(houses, tmp_path):
    rows = [HOUSES.example, {**HOUSES.example, "heating": None, "garden": None, "rent": None, "district": "Harbour"}]
    asked = {"id": "mine-1", "inputs": tensors_of(HOUSES, rows)}
    answer = houses.post(INFER, json=asked)
    found = outputs(answer)
    other = houses.post("/predict/batch", json={"samples": rows}).json()
    assert found["label"] == other["predictions"]
    assert found["probabilities"] == [p for row in other["probabilities"] for p in row]
    assert found["decision"] == other["decisions"]
    assert answer.json()["id"] == answer.headers["x-request-id"] == "mine-1"
    with AuditLog.open(tmp_path / "houses" / "audit.db", HOUSES, read_only=True) as log:
        kept = [log.get(key) for key in found["prediction_id"]]
    assert [row["request_id"] for row in kept] == ["mine-1", "mine-1"]
    assert [{f.name: f.from_log(row[f.name]) for f in HOUSES.features} for row in kept] == rows


@pytest.mark.parametrize("nested", [False, True])
def test_plain_numbers_may_come_as_one_matrix(client, nested):
    rows = [list(SCHEMA.example.values())] * 3
    data = rows if nested else [value for row in rows for value in row]
    matrix = {"name": "X", "shape": [3, len(SCHEMA.names)], "datatype": "FP64", "data": data}
    answer = client.post(f"/v2/models/{SCHEMA.name}/infer", json={"inputs": [matrix]})
    assert outputs(answer)["label"] == client.post("/predict", json=SCHEMA.example).json()["predictions"] * 3


def test_a_matrix_needs_plain_numbers(houses):
    matrix = {"name": "X", "shape": [1, len(HOUSES.names)], "datatype": "FP64", "data": [0.0] * len(HOUSES.names)}
    answer = houses.post(INFER, json={"inputs": [matrix]})
    assert answer.status_code == 400
    assert "/inputs/0/name: expected one of area" in answer.json()["error"]


def test_a_feature_that_may_be_missing_may_be_left_out(houses):
    inputs = [tensor for tensor in tensors_of(HOUSES, [HOUSES.example]) if tensor["name"] not in GAPS]
    assert outputs(houses.post(INFER, json={"inputs": inputs}))["label"]


def test_a_column_may_be_written_as_a_matrix_of_one_column(houses):
    assert outputs(houses.post(INFER, json=changed("area", shape=[1, 1], data=[[90.5]])))["label"]


def test_only_the_outputs_that_are_named_come_back(houses):
    asked = changed("area") | {"outputs": [{"name": "decision"}, {"name": "label"}]}
    assert list(outputs(houses.post(INFER, json=asked))) == ["decision", "label"]


WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "another name": (changed("area", name="WRONG"), ["/inputs/0/name: expected one of area", "/inputs/area: expected"]),
    "another datatype": (changed("area", datatype="FP32"), ['/inputs/0/datatype: expected FP64 for area, got "FP32"']),
    "another shape": (changed("area", shape=[1, 2]), ["/inputs/0/shape: expected [rows] or [rows, 1] for area"]),
    "no row": (changed("area", shape=[0], data=[]), ["/inputs/0/shape: expected [rows] or [rows, 1] for area"]),
    "too few values": (changed("area", shape=[1], data=[]), ["/inputs/0/data: expected 1 values"]),
    "no data": ({"inputs": [{"name": "area", "shape": [1], "datatype": "FP64"}]}, ["/inputs/0/data: expected a list"]),
    "a value out of range": (changed("area", data=[5]), ["/inputs/0/data/0: expected a number from 10 to 1000 m²"]),
    "a fraction": (changed("rooms", data=[2.5]), ["/inputs/1/data/0: expected a whole number from 1 to 30"]),
    "an unknown category": (changed("heating", data=["coal"]), ["/inputs/2/data/0: expected one of gas, oil"]),
    "no date": (changed("built", data=["2001-02-30"]), ["/inputs/6/data/0: expected a date"]),
    "one for true": (changed("garden", data=[1]), ["/inputs/5/data/0: expected true or false"]),
    "a gap where none may be": (changed("area", data=[None]), ["/inputs/0/data/0: expected a number", "got null"]),
    "another number of rows": (changed("area", shape=[2], data=[90, 90]), ["expected 1 rows, as the others, got 2"]),
    "an unknown output": (changed("area") | {"outputs": [{"name": "WRONG"}]}, ["/outputs/0/name: expected one of"]),
    "an output twice": (changed("area") | {"outputs": [{"name": "label"}] * 2}, ["/outputs/1/name: expected each"]),
    "an id of blanks": (changed("area") | {"id": "a b"}, ["/id: expected up to 128"]),
    "a field of another protocol": (changed("area") | {"samples": []}, ["/samples: expected a field of the protocol"]),
    "no inputs": ({}, ["/inputs: expected a list of tensors, got nothing"]),
    "a tensor that is none": ({"inputs": [7]}, ["/inputs/0: expected an object"]),
    "a flag of text": (changed("area") | {"parameters": {"binary_data_output": "yes"}}, ["expected true or false"]),
}


@pytest.mark.parametrize(("asked", "said"), WRONG.values(), ids=WRONG)
def test_what_is_not_as_published_is_refused_by_name(houses, asked, said):
    answer = houses.post(INFER, json=asked)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    for part in said:
        assert part in answer.json()["error"]


def test_all_faults_are_named_at_once(houses):
    inputs = tensors_of(HOUSES, [{**HOUSES.example, "area": -i, "heating": "coal"} for i in range(8)])
    error = houses.post(INFER, json={"inputs": inputs}).json()["error"]
    for i in range(8):
        assert f"/inputs/0/data/{i}: " in error
        assert f"/inputs/2/data/{i}: " in error


def test_nan_is_no_json_here(houses):
    body = '{"inputs": [{"name": "rent", "shape": [1], "datatype": "FP64", "data": [NaN]}]}'
    answer = houses.post(INFER, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    inputs = changed("rent", data=[900.0])
    text = str(inputs).replace("'", '"').replace("900.0", "NaN").replace("True", "true")
    answer = houses.post(INFER, content=text, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert "or null, got nan" in answer.json()["error"]


def test_no_more_rows_than_a_batch_may_hold(make_client):
    client = make_client(max_rows=2)
    asked = {"inputs": tensors_of(SCHEMA, [SCHEMA.example] * 3)}
    answer = client.post(f"/v2/models/{SCHEMA.name}/infer", json=asked)
    assert answer.status_code == 400
    assert "1 to 2 rows, got 3" in answer.json()["error"]


@pytest.mark.parametrize("path", ["other", f"{HOUSES.name}/versions/7"])
def test_a_model_that_is_not_here_is_a_404(houses, path):
    for answer in (
        houses.get(f"/v2/models/{path}"),
        houses.get(f"/v2/models/{path}/ready"),
        houses.post(f"/v2/models/{path}/infer", json=changed("area")),
    ):
        assert answer.status_code == 404
        assert HOUSES.name in answer.json()["error"]


def test_every_error_below_v2_has_the_protocols_form(make_client):
    _, key = new_key("tester")
    client = make_client(api_keys=(key,))
    infer = f"/v2/models/{SCHEMA.name}/infer"
    asks: list[tuple[int, Callable[[], Any]]] = [
        (401, lambda: client.post(infer, json={})),
        (404, lambda: client.get("/v2/nothing")),
        (405, lambda: client.get(infer)),
        (400, lambda: client.get("/v2", headers={"host": "evil.example.com"})),
    ]
    for status, ask in asks:
        answer = ask()
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["error"]
    assert client.get("/v2/nothing").headers["x-request-id"]


def test_a_body_without_a_content_type_is_taken_but_not_from_a_web_page(houses):
    body = houses.build_request("POST", INFER, json=changed("area")).content
    assert houses.post(INFER, content=body).status_code == 200
    assert houses.post(INFER, content=body, headers={"origin": "https://example.com"}).status_code == 415
    assert houses.post(INFER, content=body, headers={"content-type": "text/plain"}).status_code == 415


def test_the_metrics_count_it(houses):
    houses.post(INFER, json=changed("area"))
    path = "/v2/models/{name}/infer"
    assert f'iris_requests_total{{method="POST",path="{path}",status="200"}} 1.0' in houses.get("/metrics").text
    assert houses.get("/metrics", headers={"accept": "application/json"}).json()["requests"] == 1
