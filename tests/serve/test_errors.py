"""What callers read about errors."""

import json
import logging

import pytest

from serve.errors import InvalidInput, error_response, problem_of, strip_paths
from serve.logs import JsonLines


def test_a_fault_of_ours_is_logged_with_its_trace_and_answered_without(caplog):
    with caplog.at_level(logging.ERROR, "serve"):
        problem, _ = problem_of(KeyError("a secret place"), "ticket-1")
    assert problem.status == 500
    assert "secret" not in problem.detail
    line = json.loads(JsonLines().format(caplog.records[0]))
    assert line["request_id"] == "ticket-1"
    assert "KeyError: 'a secret place'" in line["trace"]


@pytest.mark.parametrize("path", ["/nothing", "/predict/nothing", "/predictions", "/docs/../serve"])
def test_an_unknown_path_is_a_404_that_helps(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "GET /" in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/predict"), ("DELETE", "/predictions/history"), ("PUT", "/")])
def test_the_wrong_method_is_a_405_that_names_the_right_ones(client, method, path):
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"]
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://iris:hush@db.example/iris",
        "postgresql://iris@db.example/iris?password=hush",
        "postgresql+psycopg://iris@db.example:5432/iris?sslmode=require&password=hush/hush&x=1",
        "host=db.example password=hush dbname=iris",
        "host=db.example password = 'hush hush' dbname=iris",
        "postgresql://db.example/iris?sslpassword=hush",
    ],
)
def test_no_message_shows_a_password_however_an_address_has_it(address):
    told = strip_paths(f"The audit log {address} can't be reached: see whether its server runs.")
    assert "hush" not in told
    assert "can't be reached" in told


def test_a_problem_that_can_not_be_sent_is_one_of_ours(caplog):
    status, payload, _ = error_response(InvalidInput("half a character: \ud800"), "ticket-2")
    assert status == 500
    assert json.loads(payload)["request_id"] == "ticket-2"


@pytest.mark.parametrize("query", ["label={}", "limit={}", "model_version={}%00", "since={}", "{}=1"])
def test_a_long_query_makes_no_long_answer(client, query):
    answer = client.get("/predictions/history?" + query.format("x" * 50_000))
    assert answer.status_code in (200, 400)
    assert len(answer.content) < 2000
