"""What was answered, looked up later, and what it really was."""

import csv
import io
import time
from datetime import UTC, datetime, timedelta

import pytest

from iris_nb.audit.log import AuditLog
from iris_nb.audit.maintenance import verify
from iris_nb.examples import HOUSES, IRIS
from iris_nb.table import SCHEMA


@pytest.fixture
def client(make_client, place):
    "A service with a log in each kind of database."
    return make_client(database_url=place)


@pytest.fixture
def asked(client):
    "Nine predictions in three requests; the ids, oldest first."
    low, high = ({f.name: f.decode(f.bounds[end]) for f in SCHEMA.features} for end in (0, 1))
    bodies = [[SCHEMA.example] * 3, [low] * 3, [high] * 3]
    answers = [client.post("/predict/batch", json={"samples": rows}).json() for rows in bodies]
    return [key for answer in answers for key in answer["prediction_ids"]]


def history(client, **query):
    answer = client.get("/predictions/history", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_empty_log_is_an_empty_page(client):
    assert history(client) == {"predictions": [], "next": None}


def test_history_is_newest_first(client, asked):
    found = history(client)
    assert [row["id"] for row in found["predictions"]] == asked[::-1]
    assert found["next"] is None


def test_a_row_of_history_says_everything(client, row):
    answer = client.post("/predict", json=row, headers={"x-request-id": "r-1"}).json()
    (found,) = history(client)["predictions"]
    assert found["id"] == answer["prediction_ids"][0]
    assert found["request_id"] == "r-1"
    assert found["timestamp"] == answer["timestamp"]
    assert found["features"] == row
    assert found["prediction"] == answer["predictions"][0]
    assert found["probabilities"] == answer["probabilities"][0]
    assert found["confidence"] == max(answer["probabilities"][0])
    assert found["duration_ms"] == answer["processing_time_ms"]
    assert (found["caller"], found["true_label"]) == (None, None)


def test_the_cursor_stays_right_while_rows_arrive(client, asked, row):
    seen, before = [], None
    while True:
        page = history(client, limit=2, **({"before": before} if before else {}))
        seen += [row["id"] for row in page["predictions"]]
        client.post("/predict", json=row)
        if (before := page["next"]) is None:
            break
    assert seen == asked[::-1]


def test_history_filters_by_class_version_and_confidence(client, asked):
    rows = history(client)["predictions"]
    label = rows[0]["prediction"]
    assert {r["prediction"] for r in history(client, label=label)["predictions"]} == {label}
    assert history(client, model_version="7")["predictions"] == []
    assert history(client, model_version="null")["predictions"] == []
    middle = sorted(r["confidence"] for r in rows)[4]
    assert all(r["confidence"] >= middle for r in history(client, min_confidence=middle)["predictions"])
    assert all(r["confidence"] <= middle for r in history(client, max_confidence=middle)["predictions"])


def test_history_filters_by_time(client, asked):
    ago, ahead = (datetime.now(UTC) + timedelta(minutes=m) for m in (-1, 1))
    assert len(history(client, since=ago.isoformat(), until=ahead.isoformat())["predictions"]) == 9
    assert history(client, until=ago.isoformat())["predictions"] == []
    newest = history(client, limit=1)["predictions"][0]["timestamp"]
    assert len(history(client, since=newest)["predictions"]) == 3


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 1001},
        {"label": "daisy"},
        {"before": "x"},
        {"since": "yesterday"},
        {"min_confidence": 95},
        {"label": "null"},
        {"before": "null"},
        {"since": "null"},
        {"max_confidence": "Null"},
    ],
    ids=str,
)
def test_a_wrong_query_is_a_400_that_names_the_parameter(client, query):
    answer = client.get("/predictions/history", params=query)
    assert answer.status_code == 400
    assert [e["field"] for e in answer.json()["errors"]] == list(query)


def test_history_is_a_table_by_accept(client, asked):
    answer = client.get("/predictions/history", params={"limit": 4}, headers={"accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["id"] for row in rows] == asked[:4:-1]
    assert set(SCHEMA.names) < set(rows[0])
    rest = client.get("/predictions/history", params={"before": answer.headers["x-next"]}).json()
    assert [row["id"] for row in rest["predictions"]] == asked[4::-1]


def test_no_cell_of_the_table_is_a_formula(client):
    body = {feature.name: feature.example for feature in SCHEMA.features}
    client.post("/predict", json=body, headers={"x-request-id": "=1+2"})
    answer = client.get("/predictions/history", headers={"accept": "text/csv"})
    assert [row["request_id"] for row in csv.DictReader(io.StringIO(answer.text))] == ["'=1+2"]
    assert client.get("/predictions/history").json()["predictions"][0]["request_id"] == "=1+2"


def test_an_id_with_a_nul_is_a_404(client):
    assert client.get("/predictions/%00").status_code == 404
    assert client.post("/predictions/%00/label", json={"label": SCHEMA.classes[0]}).status_code == 404
    answer = client.get("/predictions/history", params={"model_version": "\0"})
    assert answer.status_code in (200, 400)


def test_one_prediction_is_found_by_its_id(client, asked):
    assert client.get(f"/predictions/{asked[4]}").json()["id"] == asked[4]


def test_an_unknown_id_is_a_404(client):
    for answer in (
        client.get("/predictions/nope"),
        client.post("/predictions/nope/label", json={"label": SCHEMA.classes[0]}),
    ):
        assert answer.status_code == 404
        assert "nope" in answer.json()["detail"]


def test_a_label_is_kept_and_may_be_repeated(client, asked):
    for _ in range(2):
        answer = client.post(f"/predictions/{asked[0]}/label", json={"label": SCHEMA.classes[1]})
        assert answer.status_code == 200
        assert answer.json()["true_label"] == SCHEMA.classes[1]
    assert client.get(f"/predictions/{asked[0]}").json()["true_label"] == SCHEMA.classes[1]


def test_a_second_different_label_is_a_409_unless_it_corrects(client, asked):
    path = f"/predictions/{asked[0]}/label"
    client.post(path, json={"label": SCHEMA.classes[1]})
    assert client.post(path, json={"label": SCHEMA.classes[0]}).status_code == 409
    assert (
        client.post(path, json={"label": SCHEMA.classes[0], "correct": True}).json()["true_label"] == SCHEMA.classes[0]
    )


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"label": "daisy"}', b'{"label": 1}', b'{"correct": true}', b'{"l":1}']
)
def test_a_label_that_is_none_is_a_400(client, asked, body):
    answer = client.post(f"/predictions/{asked[0]}/label", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["errors"]


def test_a_clock_that_is_set_back_loses_nothing_and_the_history_stays_whole(make_client, home, row, monkeypatch):
    class Clock:
        perf_counter, now = staticmethod(time.perf_counter), time.time_ns()

        def time_ns(self) -> int:
            self.now -= 1_800_000_000_000  # half an hour with every look
            return self.now

    monkeypatch.setattr("serve.batching.time", Clock())
    client = make_client()
    answered = [client.post("/predict", json=row).json()["prediction_ids"][0] for _ in range(10)]
    url, found = "/predictions/history?limit=3", []
    while url:
        page = client.get(url).json()
        found += [one["id"] for one in page["predictions"]]
        url = page["next"] and f"/predictions/history?limit=3&before={page['next']}"
    assert found == answered  # newest first by the clock, which ran backwards
    assert [client.get(f"/predictions/{key}").json()["id"] for key in answered] == answered
    with AuditLog.open(home / "audit.db", read_only=True) as log:
        assert verify(log).sound


@pytest.mark.parametrize("before", ["nonsense", "1-1-1\n", "١-١-١"])
def test_a_cursor_that_is_none_is_refused_also_where_it_only_looks_like_one(client, before):
    answer = client.get("/predictions/history", params={"before": before})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "before"


def test_text_that_no_database_can_look_up_is_refused_before(client):
    label = {"label": SCHEMA.classes[0]}
    assert client.get("/predictions/a%00b").status_code == 404
    assert client.post("/predictions/a%00b/label", json=label).status_code == 404
    answer = client.get("/predictions/history?model_version=%00")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "model_version"


@pytest.mark.parametrize("quality", ["1e999", "nan", "x", "-1"])
@pytest.mark.parametrize("path", ["/metrics", "/predictions/history"])
def test_an_accept_header_that_can_not_be_read_asks_for_nothing(client, path, quality):
    assert client.get(path, headers={"accept": f"text/csv;q={quality}"}).status_code == 200


def test_the_history_gives_values_of_any_kind_as_they_were_sent(houses):
    gaps = {**HOUSES.example, "heating": None, "garden": False, "rent": None, "district": "Harbour", "rooms": 3}
    ids = houses.post("/predict/batch", json={"samples": [HOUSES.example, gaps]}).json()["prediction_ids"]
    page = houses.get("/predictions/history").json()["predictions"]
    assert [row["features"] for row in page] == [gaps, HOUSES.example]
    assert houses.get(f"/predictions/{ids[1]}").json()["features"] == gaps


def test_the_history_has_the_decision_where_costs_are_declared(houses, irises):
    asked = houses.post("/predict", json=HOUSES.example).json()
    (row,) = houses.get("/predictions/history").json()["predictions"]
    assert [row["decision"]] == asked["decisions"]
    irises.post("/predict", json=IRIS.example)
    assert "decision" not in irises.get("/predictions/history").json()["predictions"][0]


def test_a_table_of_the_history_has_texts_gaps_and_decisions_and_no_formula(houses):
    sent = {**HOUSES.example, "district": "=1+1", "rent": None}
    houses.post("/predict", json=sent)
    (row,) = csv.DictReader(io.StringIO(houses.get("/predictions/history", headers={"accept": "text/csv"}).text))
    assert (row["heating"], row["rent"], row["district"]) == ("gas", "", "'=1+1")
    assert row["decision"] == "quickly"


def test_the_history_of_another_table_is_filtered_by_its_classes(houses):
    houses.post("/predict", json=HOUSES.example)
    assert len(houses.get("/predictions/history?label=quickly").json()["predictions"]) == 1
    refused = houses.get("/predictions/history?label=setosa")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["expected"] == "one of slowly, quickly"
