"""The Open Inference Protocol v2: what its clients send and get."""

import gzip
import json
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from iris_nb.audit.log import AuditLog
from iris_nb.bundle import point_champion
from iris_nb.examples import HOUSES, IRIS
from iris_nb.keys import new_key
from iris_nb.schema import Schema
from iris_nb.table import SCHEMA
from serve.tensors import datatype_of
from tests.serve.load import LONG, Load, logged
from tests.waiting import wait_until

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
def test_plain_numbers_may_come_as_one_matrix(irises, nested):
    rows = [list(IRIS.example.values())] * 3
    data = rows if nested else [value for row in rows for value in row]
    matrix = {"name": "X", "shape": [3, len(IRIS.names)], "datatype": "FP64", "data": data}
    answer = irises.post(f"/v2/models/{IRIS.name}/infer", json={"inputs": [matrix]})
    assert outputs(answer)["label"] == irises.post("/predict", json=IRIS.example).json()["predictions"] * 3


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
    "text for a number": (changed("rent", data=[""]), ["/inputs/7/data/0: expected a number", 'got ""']),
    "outputs that are no list": (changed("area") | {"outputs": 7}, ["/outputs: expected a list of tensors"]),
    "parameters that are none": (changed("area") | {"parameters": [7]}, ["/parameters: expected an object"]),
    "a tensor's parameters that are none": (changed("area", parameters=[7]), ["/inputs/0/parameters: expected an ob"]),
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


def test_a_list_is_no_request(houses):
    assert "an object with the field inputs" in houses.post(INFER, json=[]).json()["error"]


def test_a_thousand_faults_are_enough(houses):
    rows = 3000
    answer = houses.post(INFER, json={"inputs": tensors_of(HOUSES, [{**HOUSES.example, "area": 1}] * rows)})
    assert answer.json()["error"].count("/inputs/0/data/") == 1000


def test_an_answer_of_another_version_than_was_asked_for_is_not_given(client, monkeypatch):
    batcher = client.app.state.service.batcher
    predict = batcher.predict

    async def replaced(*args: Any) -> Any:
        return structs.replace(await predict(*args), model_version="2")

    monkeypatch.setattr(batcher, "predict", replaced)
    asked = {"inputs": tensors_of(SCHEMA, [SCHEMA.example])}
    answer = client.post(f"/v2/models/{SCHEMA.name}/versions/1/infer", json=asked)
    assert answer.status_code == 404
    assert "Version 1 was replaced by version 2" in answer.json()["error"]
    assert client.get(f"/v2/models/{SCHEMA.name}").json()["versions"] == ["1"]


def test_nan_is_no_json_here(houses):
    body = '{"inputs": [{"name": "rent", "shape": [1], "datatype": "FP64", "data": [NaN]}]}'
    answer = houses.post(INFER, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    inputs = changed("rent", data=[900.0])
    text = str(inputs).replace("'", '"').replace("900.0", "NaN").replace("True", "true")
    answer = houses.post(INFER, content=text, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert "or null, got nan" in answer.json()["error"]


def texts(*values: str | bytes) -> bytes:
    "Texts as raw bytes: each with its size before it."
    parts = [value.encode() if isinstance(value, str) else value for value in values]
    return b"".join(len(part).to_bytes(4, "little") + part for part in parts)


RAW = {
    "area": np.array([90.5, 120.0], "<f8").tobytes(),
    "rooms": np.array([4, 5], "<i8").tobytes(),
    "heating": texts("gas", ""),  # no text is a gap
    "condition": texts("good", "poor"),
    "district": texts("Old Town", "Größenhafen"),
    "garden": np.array([True, False]).tobytes(),
    "built": texts("1987-05-01", "1990-01-31"),
    "rent": np.array([np.nan, 900.0], "<f8").tobytes(),  # NaN is a gap
}
ROWS: list[dict[str, Any]] = [
    dict(zip(RAW, (90.5, 4, "gas", "good", "Old Town", True, "1987-05-01", None), strict=True)),
    dict(zip(RAW, (120.0, 5, None, "poor", "Größenhafen", False, "1990-01-31", 900.0), strict=True)),
]


def binary(parts: dict[str, bytes] = RAW, rows: int = 2, **fields: object) -> dict[str, Any]:
    "A request with raw bytes after its JSON, for httpx."
    inputs = [
        {"name": f.name, "shape": [rows], "datatype": datatype_of(f), "parameters": {"binary_data_size": len(part)}}
        for f in HOUSES.features
        if (part := parts.get(f.name)) is not None
    ]
    head = json.dumps({"inputs": inputs, **fields}).encode()
    return {
        "content": head + b"".join(parts[f.name] for f in HOUSES.features if f.name in parts),
        "headers": {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"},
    }


def kept(tmp_path: Any, key: str) -> dict[str, Any]:
    "The values of a row in the log."
    with AuditLog.open(tmp_path / "houses" / "audit.db", HOUSES, read_only=True) as log:
        row = log.get(key)
    return {f.name: f.from_log(row[f.name]) for f in HOUSES.features}


def test_raw_bytes_are_read_as_the_same_rows(houses, tmp_path):
    found = outputs(houses.post(INFER, **binary()))
    assert [kept(tmp_path, key) for key in found["prediction_id"]] == ROWS
    assert found["label"] == houses.post("/predict/batch", json={"samples": ROWS}).json()["predictions"]


def test_some_tensors_may_be_raw_and_others_not(houses, tmp_path):
    asked = binary({name: part for name, part in RAW.items() if name in ("area", "rooms")})
    size = int(asked["headers"]["inference-header-content-length"])
    head, raw = json.loads(asked["content"][:size]), asked["content"][size:]
    head["inputs"] = tensors_of(HOUSES, ROWS)[2:] + head["inputs"]
    text = json.dumps(head).encode()
    headers = {"inference-header-content-length": str(len(text))}
    found = outputs(houses.post(INFER, content=text + raw, headers=headers))
    assert [kept(tmp_path, key) for key in found["prediction_id"]] == ROWS


def test_a_matrix_may_be_raw(irises):
    rows = np.array([list(IRIS.example.values())] * 3, "<f8")
    tensor = {"name": "X", "shape": [*rows.shape], "datatype": "FP64", "parameters": {"binary_data_size": rows.nbytes}}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"inference-header-content-length": str(len(head))}
    answer = irises.post(f"/v2/models/{IRIS.name}/infer", content=head + rows.tobytes(), headers=headers)
    assert outputs(answer)["label"] == irises.post("/predict", json=IRIS.example).json()["predictions"] * 3


@pytest.mark.parametrize(
    "wish",
    [
        {"parameters": {"binary_data_output": True}},
        {"outputs": [{"name": name, "parameters": {"binary_data": True}} for name in ("label", "probabilities")]},
        {"parameters": {"binary_data_output": True}, "outputs": [{"name": "label"}, {"name": "probabilities"}]},
    ],
)
def test_an_answer_is_raw_where_that_was_asked_for(houses, wish):
    answer = houses.post(INFER, **binary(**wish))
    assert answer.headers["content-type"] == "application/octet-stream"
    size = int(answer.headers["inference-header-content-length"])
    head, raw = json.loads(answer.content[:size]), answer.content[size:]
    other = houses.post("/predict/batch", json={"samples": ROWS}).json()
    label, probabilities = head["outputs"][:2]
    assert "data" not in label
    assert raw.startswith(texts(*other["predictions"]))
    at = label["parameters"]["binary_data_size"]
    P = np.frombuffer(raw[at : at + probabilities["parameters"]["binary_data_size"]], "<f8").reshape(2, 2)
    assert P.tolist() == other["probabilities"]
    assert len(raw) == sum(output["parameters"]["binary_data_size"] for output in head["outputs"])


def test_one_output_may_be_raw_and_another_not(houses):
    wish = [{"name": "label"}, {"name": "probabilities", "parameters": {"binary_data": True}}]
    answer = houses.post(INFER, **binary(outputs=wish))
    size = int(answer.headers["inference-header-content-length"])
    label, probabilities = json.loads(answer.content[:size])["outputs"]
    assert len(label["data"]) == 2
    assert len(answer.content) - size == probabilities["parameters"]["binary_data_size"] == 32


WRONG_BYTES: dict[str, tuple[dict[str, bytes], str]] = {
    "numbers cut short": ({"area": RAW["area"][:-1]}, "/inputs/0/data: expected 2 values, as its shape says, got 0"),
    "one number too few": ({"area": RAW["area"][:8]}, "/inputs/0/data: expected 2 values, as its shape says, got 1"),
    "a text cut short": ({"heating": RAW["heating"][:-1]}, "/inputs/2/data: expected 2 values"),
    "a text that is no UTF-8": ({"district": texts("North", b"\xff\xfe")}, "/inputs/4/data/1: expected one of North"),
    "a text longer than the body": ({"heating": b"\xff" * 8}, "/inputs/2/data: expected 2 values"),
    "a gap where none may be": ({"area": np.array([np.nan, 90], "<f8").tobytes()}, "/inputs/0/data/0: expected a nu"),
    "no text where one has to be": ({"condition": texts("", "good")}, "/inputs/3/data/0: expected one of poor"),
    "infinity": ({"rent": np.array([np.inf, 90], "<f8").tobytes()}, "/inputs/7/data/0: expected a number"),
    "neither yes nor no": ({"garden": b"\x01\x02"}, "/inputs/5/data/1: expected true or false, or null, got 2"),
}


@pytest.mark.parametrize(("parts", "said"), WRONG_BYTES.values(), ids=WRONG_BYTES)
def test_raw_bytes_that_are_no_values_are_refused_by_name(houses, parts, said):
    answer = houses.post(INFER, **binary(RAW | parts))
    assert answer.status_code == 400
    assert said in answer.json()["error"]


@pytest.mark.parametrize("size", ["", "x", "-1", "999999"])
def test_a_size_of_the_json_that_can_not_be_is_refused(houses, size):
    asked = binary()
    asked["headers"]["inference-header-content-length"] = size
    answer = houses.post(INFER, **asked)
    assert answer.status_code == 400
    assert "Inference-Header-Content-Length" in answer.json()["error"]


def test_bytes_that_no_tensor_claims_are_refused(houses):
    asked = binary()
    asked["content"] += b"more"
    total = sum(map(len, RAW.values()))
    answer = houses.post(INFER, **asked)
    assert answer.status_code == 400
    assert f"expected {total:,} bytes of binary tensors after the JSON, got {total + 4:,}" in answer.json()["error"]


@pytest.mark.parametrize("size", [-1, 1.5, "16", True])
def test_a_size_of_a_tensor_that_can_not_be_is_refused(houses, size):
    answer = houses.post(INFER, json=changed("area", parameters={"binary_data_size": size}))
    assert answer.status_code == 400
    assert "/inputs/0/parameters/binary_data_size: expected a whole number of bytes" in answer.json()["error"]


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_bodies_and_answers_may_be_packed(houses, coding, pack):
    inputs = tensors_of(HOUSES, [HOUSES.example] * 100)
    body = pack(json.dumps({"inputs": inputs}).encode())
    answer = houses.post(INFER, content=body, headers={"content-encoding": coding, "accept-encoding": coding})
    assert answer.headers["content-encoding"] == coding
    assert int(answer.headers["content-length"]) < len(answer.content)
    assert len(outputs(answer)["label"]) == 100


def test_the_limit_of_a_body_holds_for_what_it_unpacks_to(make_client):
    client = make_client(max_body=2000)
    body = gzip.compress(b" " * 3000)
    answer = client.post(f"/v2/models/{SCHEMA.name}/infer", content=body, headers={"content-encoding": "gzip"})
    assert answer.status_code == 413
    answer = client.post(f"/v2/models/{SCHEMA.name}/infer", content=body, headers={"content-encoding": "br"})
    assert answer.status_code == 415


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


#: Requests in the protocols of others.
FOREIGN = {
    "open inference": (f"/v2/models/{SCHEMA.name}/infer", {"inputs": tensors_of(SCHEMA, [SCHEMA.example] * 2)}),
    "mlflow": ("/invocations", {"dataframe_records": [SCHEMA.example] * 2}),
}


@pytest.mark.long
@pytest.mark.parametrize(("path", "body"), FOREIGN.values(), ids=FOREIGN)
def test_after_a_kill_what_other_protocols_were_answered_is_in_the_log_once(live, home, path, body):
    answered: list[str] = []
    for _ in range(20 if LONG else 1):
        service = live()
        load = Load(service.url, path=path, body=body)
        load.start()
        wait_until(partial(load.answered, 100), "callers are answered")
        service.kill()
        load.join()
        answered += load.ids
    kept = logged(home)
    assert len(set(kept)) == len(kept)
    assert set(answered) <= set(kept)


def answers_with(load: Load, version: str) -> bool:
    return bool(load.answers) and load.answers[-1]["model_version"] == version


@pytest.mark.long
@pytest.mark.parametrize(("path", "body"), FOREIGN.values(), ids=FOREIGN)
def test_a_new_champion_fails_no_request_in_other_protocols(live, home, path, body):
    service = live(IRIS_WATCH_SECONDS="0.05")
    load = Load(service.url, path=path, body=body)
    load.start()
    for i in range(60 if LONG else 6):
        champion, version = [(f"{SCHEMA.name}_test-2", "2"), (f"{SCHEMA.name}_test-1", "1")][i % 2]
        point_champion(home / "bundles", champion)
        wait_until(partial(answers_with, load, version), "the new champion answers")
    load.stop()
    assert set(load.statuses) == {200}
    assert sorted(logged(home)) == sorted(load.ids)
