"""What callers read about errors."""

import json
import logging

import pytest

from serve.errors import problem_of
from serve.logs import JsonLines


def test_a_fault_of_ours_is_logged_with_its_trace_and_told_without(caplog):
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
