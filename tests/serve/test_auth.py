"""Who may call, and how often."""

import httpx
import pytest
from click.testing import CliRunner

from iris_nb.keys import key as make_key
from iris_nb.keys import new_key
from serve import auth
from serve.settings import Settings

ALICE, ALICES = new_key("alice")
BOB, BOBS = new_key("bob")

GUARDED = [
    ("POST", "/predict"), ("POST", "/predict/batch"), ("GET", "/predictions/history"), ("GET", "/predictions/x"),
    ("POST", "/predictions/x/label"), ("GET", "/model/info"), ("POST", "/model/reload"), ("POST", "/model/rollback"),
]  # fmt: skip
OPEN = ["/", "/health", "/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json"]


@pytest.fixture
def client(make_client):
    return make_client(api_keys=(ALICES, BOBS))


def key(secret):
    return {"x-api-key": secret}


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_without_a_key_it_is_a_401(client, method, path):
    for headers in ({}, key("iris_wrong"), key(ALICES.digest)):
        answer = client.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "ApiKey"
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", OPEN)
def test_what_says_nothing_about_anybody_needs_no_key(client, path):
    assert client.get(path).status_code == 200


def test_the_log_knows_the_callers_name(client, row):
    for secret in (ALICE, BOB):
        assert client.post("/predict", json=row, headers=key(secret)).status_code == 200
    found = client.get("/predictions/history", headers=key(BOB)).json()["predictions"]
    assert [r["caller"] for r in found] == ["bob", "alice"]


def test_each_key_has_a_rate_of_its_own(make_client, row):
    client = make_client(api_keys=(ALICES, BOBS), rate_limit=0.1)
    assert client.post("/predict", json=row, headers=key(ALICE)).status_code == 200
    for method, path in GUARDED:
        answer = client.request(method, path, headers=key(ALICE))
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert client.post("/predict", json=row, headers=key(BOB)).status_code == 200


def test_a_made_key_opens_the_service_it_was_made_for():
    shown = CliRunner().invoke(make_key, ["carol"]).output
    secret, setting = shown.split("X-API-Key: ")[1].split()[0], shown.split()[-1]
    settings = Settings.from_env({"IRIS_API_KEYS": setting})
    assert auth.Keys(settings).caller({b"x-api-key": secret.encode()}) == "carol"
    assert secret not in setting


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["no spaces"], ["a:b"]])
def test_a_key_needs_a_plain_name(arguments):
    assert CliRunner().invoke(make_key, arguments).exit_code == 2


def test_no_key_is_ever_written_to_the_log_lines(make_client, row, capfd):
    client = make_client(api_keys=(ALICES,), log_level="info")
    client.post(f"/predict?key={ALICE}", json=row, headers=key(ALICE))
    client.get(f"/predictions/history?x={ALICE}", headers=key(ALICE))
    client.__exit__()
    said = capfd.readouterr().err
    assert said.count('"caller":"alice"') == 2
    assert ALICE not in said
    assert ALICES.digest not in said


def test_the_buckets_of_a_rate_are_shared_by_all_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(auth.time, "monotonic", lambda: 100.0)
    one, other = (auth.TokenBuckets(2, rate=10, file=tmp_path / "rates") for _ in range(2))
    assert [bucket.spend(0) > 0 for _ in range(10) for bucket in (one, other)] == [False] * 10 + [True] * 10
    assert other.spend(1) == 0.0


def test_a_bucket_fills_at_its_rate_and_holds_a_seconds_worth(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(auth.time, "monotonic", lambda: now[0])
    bucket = auth.TokenBuckets(1, rate=2)
    assert [bucket.spend(0) for _ in range(3)] == [0.0, 0.0, 0.5]
    now[0] += 0.5
    assert [bucket.spend(0) for _ in range(2)] == [0.0, 0.5]
    now[0] += 3600
    assert [bucket.spend(0) for _ in range(3)] == [0.0, 0.0, 0.5]


def test_a_caller_with_one_connection_gets_its_whole_rate_from_several_workers(live):
    service = live(IRIS_WORKERS="3", IRIS_API_KEYS=str(ALICES), IRIS_RATE_LIMIT="30")
    with httpx.Client(base_url=service.url, headers=key(ALICE)) as one_connection:
        statuses = [one_connection.get("/model/info").status_code for _ in range(30)]
    assert statuses == [200] * 30
