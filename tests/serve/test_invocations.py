"""MLflow's scoring protocol: what its clients send and get."""

import gzip
import json
from typing import Any

import pytest

import iris_nb
from iris_nb.audit.log import AuditLog
from iris_nb.examples import HOUSES
from iris_nb.table import SCHEMA

FULL = HOUSES.example
GAPPY = {**FULL, "heating": None, "garden": None, "rent": None, "area": 77.5}
NAMES, ROWS = list(HOUSES.names), [FULL, GAPPY]
VALUES = [list(row.values()) for row in ROWS]
COLUMNS = {name: [row[name] for row in ROWS] for name in NAMES}

FORMS: dict[str, dict[str, Any]] = {
    "split": {"dataframe_split": {"columns": NAMES, "index": [7, 8], "data": VALUES}},
    "split in another order": {"dataframe_split": {"columns": NAMES[::-1], "data": [row[::-1] for row in VALUES]}},
    "split without columns": {"dataframe_split": {"data": VALUES}},
    "records": {"dataframe_records": ROWS},
    "instances by name": {"instances": ROWS},
    "instances in order": {"instances": VALUES},
    "inputs in order": {"inputs": VALUES},
    "inputs by name": {"inputs": ROWS},
    "inputs as columns": {"inputs": COLUMNS},
}


def kept(tmp_path: Any, keys: list[str]) -> list[dict[str, Any]]:
    with AuditLog.open(tmp_path / "houses" / "audit.db", HOUSES, read_only=True) as log:
        rows = [log.get(key) for key in keys]
    return [{f.name: f.from_log(row[f.name]) for f in HOUSES.features} for row in rows]


@pytest.mark.parametrize("asked", FORMS.values(), ids=FORMS)
def test_every_form_of_a_table_is_read_as_the_same_rows(houses, tmp_path, asked):
    answer = houses.post("/invocations", json=asked, headers={"x-request-id": "mine-1"})
    assert answer.status_code == 200, answer.text
    found, other = answer.json(), houses.post("/predict/batch", json={"samples": ROWS}).json()
    assert found["labels"] == other["predictions"]
    assert [list(row.values()) for row in found["predictions"]] == other["probabilities"]
    assert list(found["predictions"][0]) == list(HOUSES.classes)
    assert found["decisions"] == other["decisions"]
    assert (found["model_name"], found["model_version"]) == (other["model_name"], other["model_version"])
    assert kept(tmp_path, found["prediction_ids"]) == ROWS
    assert answer.headers["x-request-id"] == "mine-1"


def test_csv_is_read_with_the_names_and_gaps_of_files(houses, tmp_path):
    text = (
        "Floor area (m2),rooms,heating,condition,district,garden,Built on,rent\n"
        '120,4,gas,fair,North,true,1987-05-01,900\n77.5,4,NA,fair,"North",,1987-05-01,NaN\n'
    )
    answer = houses.post("/invocations", content=text, headers={"content-type": "text/csv; charset=utf-8"})
    assert answer.status_code == 200, answer.text
    assert kept(tmp_path, answer.json()["prediction_ids"]) == [{**FULL, "garden": True}, GAPPY]


def test_nan_is_a_gap_here(houses, tmp_path):
    text = json.dumps({"dataframe_split": {"columns": NAMES, "data": [list({**FULL, "rent": float("nan")}.values())]}})
    assert "NaN" in text
    answer = houses.post("/invocations", content=text, headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert kept(tmp_path, answer.json()["prediction_ids"]) == [{**FULL, "rent": None}]


def test_params_ask_for_prediction_sets(client):
    asked = {"instances": [SCHEMA.example], "params": {"alpha": 0.001}}
    sets = client.post("/invocations", json=asked).json()["prediction_sets"]
    assert sets == client.post("/predict?alpha=0.001", json=SCHEMA.example).json()["prediction_sets"]


JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv"}
WRONG: dict[str, tuple[Any, dict[str, str], list[str]]] = {
    "no table": ({}, JSON, ["one of dataframe_split"]),
    "two tables": ({"instances": [FULL], "inputs": [FULL]}, JSON, ["got instances, inputs"]),
    "another field": ({"instances": [FULL], "samples": []}, JSON, ["/samples"]),
    "a list": ([FULL], JSON, ["an object with one of"]),
    "no rows": ({"instances": []}, JSON, ["a list of 1 to 10,000 rows"]),
    "text for rows": ({"instances": "all"}, JSON, ["/instances: expected a list of rows"]),
    "a row that is none": ({"dataframe_records": [7]}, JSON, ["/dataframe_records/0: expected an object"]),
    "a short row": ({"instances": [[1], [2]]}, JSON, ["/instances/0: expected 8 values", "/instances/1: expected 8"]),
    "values out of range": (
        {"dataframe_records": [{**FULL, "area": 1}, {**FULL, "heating": "coal"}]},
        JSON,
        ["/dataframe_records/0/area", "/dataframe_records/1/heating"],
    ),
    "a gap where none may be": (
        '{"inputs": [[NaN,4,"gas","fair","North",true,"1987-05-01",9]]}',
        JSON,
        ["/inputs/0/area"],
    ),
    "an unknown column": (
        {"dataframe_split": {"columns": [*NAMES, "colour"], "data": [[*VALUES[0], "blue"]]}},
        JSON,
        ["/dataframe_split/columns/colour: expected one of area"],
    ),
    "missing columns": ({"inputs": {"rent": [900]}}, JSON, ["/inputs/area: expected a number", "/inputs/rooms"]),
    "a column twice": ({"dataframe_split": {"columns": [*NAMES, "area"], "data": []}}, JSON, ["one column of that"]),
    "columns of two lengths": (
        {"inputs": {**FORMS["inputs as columns"]["inputs"], "rent": [1]}},
        JSON,
        ["lists of 1, 2"],
    ),
    "a column that is none": ({"inputs": {**COLUMNS, "rent": 1}}, JSON, ["/inputs/rent"]),
    "a split that is none": ({"dataframe_split": []}, JSON, ["an object with columns and data"]),
    "a split of nothing": ({"dataframe_split": {"columns": 1, "orient": 2}}, JSON, ["columns", "data", "orient"]),
    "another index": ({"dataframe_split": {"data": VALUES, "index": [1]}}, JSON, ["/dataframe_split/index: expected"]),
    "other params": ({"instances": [FULL], "params": {"beta": 1, "alpha": 7}}, JSON, ["/params/beta", "/params/alpha"]),
    "params that are none": ({"instances": [FULL], "params": []}, JSON, ["/params: expected an object"]),
    "no CSV": ("", CSV, ["an empty body"]),
    "CSV that is no UTF-8": (b"area\n\xff", CSV, ["no UTF-8 at byte 5"]),
    "CSV with a cell beyond limits": ("area\n" + "9" * 200_000, CSV, ["field larger than field limit"]),
    "CSV without rows": (",".join(NAMES), CSV, ["1 to 10,000 rows"]),
    "CSV with a bad cell": (
        ",".join(NAMES) + "\nwide,4,gas,fair,North,true,1987-05-01,900",
        CSV,
        ["/0/area", '"wide"'],
    ),
    "CSV with a short line": (",".join(NAMES) + "\n1,2", CSV, ["/0: expected 8 values"]),
}


@pytest.mark.parametrize(("asked", "headers", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_table_is_a_problem_that_names_every_fault(houses, asked, headers, said):
    content = asked if isinstance(asked, str | bytes) else json.dumps(asked)
    answer = houses.post("/invocations", content=content, headers=headers)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    for part in said:
        assert part in answer.json()["detail"]


def test_no_more_rows_than_a_batch_may_hold(make_client):
    answer = make_client(max_rows=2).post("/invocations", json={"instances": [SCHEMA.example] * 3})
    assert answer.status_code == 400
    assert "1 to 2 rows, got 3 rows" in answer.json()["detail"]


def test_other_content_types_are_refused(houses):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/octet-stream"):
        assert houses.post("/invocations", content="{}", headers={"content-type": kind}).status_code == 415


def test_a_body_may_be_packed(client):
    body = gzip.compress(json.dumps({"instances": [SCHEMA.example] * 50}).encode())
    answer = client.post("/invocations", content=body, headers={**JSON, "content-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.json()["labels"]) == 50


def test_an_endpoint_is_the_same_under_a_name(houses):
    found = houses.get(f"/api/2.0/endpoints/{HOUSES.name}").json()
    assert found["endpoint_url"] == f"/endpoints/{HOUSES.name}/invocations"
    assert found["model"] == {"name": f"{HOUSES.name}_test", "provider": "iris_nb"}
    assert houses.post(found["endpoint_url"], json={"instances": [FULL]}).json()["labels"]
    for answer in (
        houses.get("/api/2.0/endpoints/other"),
        houses.post("/endpoints/other/invocations", json={"instances": [FULL]}),
    ):
        assert answer.status_code == 404
        assert HOUSES.name in answer.json()["detail"]


def test_ping_says_whether_predictions_are_answered(houses, make_client, tmp_path):
    assert (houses.get("/ping").status_code, houses.get("/ping").text) == (200, "\n")
    assert houses.get("/version").text == iris_nb.__version__
    assert make_client(home=tmp_path / "empty").get("/ping").status_code == 503
