"""Health, for people and load balancers."""


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
