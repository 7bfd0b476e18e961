"Features that are looked up: the caller gives a key, the row in the log and the model's answer have the values."

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from iris_nb.bundle import champion, read_bundle
from iris_nb.examples import IRIS
from iris_nb.lookup.source import Completed, SourceError
from iris_nb.lookup.table import FeatureTable, Record, now_us
from serve.app import create_app
from serve.errors import Busy, SourceDown
from serve.lookups import FeatureLookup
from serve.service import Service
from serve.settings import Settings
from tests.lookup.worlds import DAY, LOANS
from tests.serve.mixed import doubles_of, write_champion

Client = TestClient[Litestar]
GOOD = {"amount": 5000, "customer_id": "c1", "district": "north"}


def put(home: Path) -> None:
    "Write what the sources know: a customer whose rating is fresh, one whose rating is old, and a district."
    now = now_us()
    with FeatureTable(home / "features.db", writable=True) as table:
        table.put(
            "customers",
            [
                Record("c1", now - DAY, now - DAY, {"income": 52_000, "rating": "A"}),
                Record("c2", now - 9 * DAY, now - 9 * DAY, {"income": 7_000, "rating": "B"}),
                Record("broken", now - DAY, now - DAY, {"income": -1, "rating": "A"}),
            ],
        )
        table.put("districts", [Record("north", now - DAY, now - DAY, {"price per m²": 4000})])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_champion(tmp_path / "bundles", LOANS, doubles_of(LOANS))
    return tmp_path


@pytest.fixture
def make(home: Path) -> Iterator[Callable[..., Client]]:
    with ExitStack() as stack:

        def made(fast_path: bool = True, **settings: object) -> Client:
            chosen = Settings(**{"home": home, "log_level": "warning", "watch_seconds": 0.05, **settings})
            return stack.enter_context(TestClient(create_app(chosen, fast_path, LOANS)))

        yield made


@pytest.fixture
def client(home: Path, make: Callable[..., Client]) -> Client:
    put(home)
    return make()


@pytest.mark.parametrize("fast_path", [True, False])
def test_a_key_stands_for_the_features_and_the_values_used_are_in_the_log(home, make, fast_path):
    put(home)
    client = make(fast_path)
    answer = client.post("/predict", json=GOOD)
    assert answer.status_code == 200, answer.text
    [row] = client.get("/predictions/history").json()["predictions"]
    assert row["features"] == {"amount": 5000, "income": 52_000, "rating": "A", "price": 4000}
    assert "looked_up" not in answer.json()


def test_what_was_looked_up_is_returned_on_request_with_its_age(client):
    [found] = client.post("/predict?looked_up=true", json=GOOD).json()["looked_up"]
    assert {name: used["value"] for name, used in found.items()} == {"income": 52_000, "rating": "A", "price": 4000}
    assert all(86_400 <= used["age_seconds"] < 86_500 for used in found.values())


def test_a_value_that_is_too_old_and_one_that_is_not_there_follow_their_rules(client):
    row = {"amount": 5000, "customer_id": "c2", "district": "nowhere"}
    [found] = client.post("/predict?looked_up=true", json=row).json()["looked_up"]
    assert found["rating"] == {"value": None, "age_seconds": None}
    assert found["price"] == {"value": 2500, "age_seconds": None}
    assert client.get("/predictions/history").json()["predictions"][0]["features"]["rating"] is None


@pytest.mark.parametrize(
    ("key", "expected", "got"),
    [
        ("nobody", "a key for which customers has income", '"nobody", which has none'),
        ("broken", "a key for which customers has income: a number from 0 to 1e+07 €", "-1"),
    ],
)
def test_a_key_that_can_not_be_used_is_a_fault_of_the_request(client, key, expected, got):
    problem = client.post("/predict", json={**GOOD, "customer_id": key})
    assert problem.status_code == 400
    assert problem.json()["errors"] == [
        {"pointer": "/customer_id", "field": "customer_id", "expected": expected, "got": got}
    ]


def test_the_faults_of_a_batch_are_named_at_once_with_their_places(client):
    rows = [GOOD, {**GOOD, "customer_id": "x"}, GOOD, {**GOOD, "customer_id": "y"}]
    problem = client.post("/predict/batch", json={"samples": rows}).json()
    assert [e["pointer"] for e in problem["errors"]] == ["/samples/1/customer_id", "/samples/3/customer_id"]


def test_a_thousand_faults_of_a_batch_are_listed_and_the_others_counted_once(client):
    keys = [{"amount": 500, "customer_id": "no one"}] * 1500
    found = client.post("/predict/batch", json={"samples": keys}).json()
    assert len(found["errors"]) == 1000
    assert found["detail"].endswith("; and 1,495 more")


def test_bad_keys_are_rejected_beside_bad_values_where_the_good_rows_are_asked_for(client):
    rows = [{**GOOD, "amount": "much"}, {**GOOD, "customer_id": "x"}, GOOD, {"amount": 1}]
    answer = client.post("/predict/batch?partial=true&looked_up=true", json={"samples": rows}).json()
    assert [bad["index"] for bad in answer["rejected"]] == [0, 1, 3]
    assert [len(answer["predictions"]), answer["looked_up"][0]["income"]["value"]] == [1, 52_000]
    refused = client.post("/predict/batch?partial=true", json={"samples": rows[:2]})
    assert (refused.status_code, len(refused.json()["errors"])) == (400, 2)


def test_a_feature_that_is_looked_up_can_not_be_sent(client):
    problem = client.post("/predict", json={**GOOD, "income": 1e6}).json()
    assert problem["errors"][0]["got"].startswith("an unknown field")


def test_a_key_that_no_feature_needs_may_be_left_out(client):
    assert client.post("/predict", json={"amount": 5000, "customer_id": "c1"}).status_code == 200


def test_the_protocols_of_others_take_keys_too(client):
    frame = client.post("/invocations", json={"dataframe_records": [GOOD, {**GOOD, "customer_id": "x"}]})
    assert frame.json()["errors"][0]["pointer"] == "/dataframe_records/1/customer_id"
    assert client.post("/invocations", json={"dataframe_records": [GOOD]}).status_code == 200
    inputs = client.get("/v2/models/loans").json()["inputs"]
    assert [(i["name"], i["datatype"]) for i in inputs] == [
        ("amount", "FP64"), ("customer_id", "BYTES"), ("district", "BYTES"),
    ]  # fmt: skip
    data = [{**i, "shape": [1], "data": [GOOD[i["name"]]]} for i in inputs]
    assert client.post("/v2/models/loans/infer", json={"inputs": data}).status_code == 200
    assert len(client.get("/predictions/history").json()["predictions"]) == 2


def test_the_documentation_has_the_key_in_a_request_and_the_features_in_the_log(client):
    parts = client.get("/openapi.json").json()["components"]["schemas"]
    assert list(parts["Loan"]["properties"]) == ["amount", "customer_id", "district"]
    assert list(parts["Features"]["properties"]) == list(LOANS.names)
    assert parts["LoggedPrediction"]["properties"]["features"] == {"$ref": "#/components/schemas/Features"}
    assert parts["Batch"]["properties"]["samples"]["items"] == {"$ref": "#/components/schemas/Loan"}
    assert parts["Loan"]["required"] == ["amount", "customer_id"]


def test_without_a_table_nothing_is_answered_and_health_says_why_until_there_is_one(home, make):
    client = make()
    refused = client.post("/predict", json=GOOD)
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:problem:source-down")
    assert "iris-nb features put" in refused.json()["detail"]
    assert any("Features can't be looked up" in fault for fault in client.get("/health").json()["faults"])
    put(home)
    client.app.state.service.rows.check()
    assert client.post("/predict", json=GOOD).status_code == 200
    assert client.get("/health/ready").status_code == 200


def test_a_table_that_was_replaced_is_opened_by_itself(home, client):
    (home / "features.db").rename(home / "old.db")
    put(home)
    with FeatureTable(home / "features.db", writable=True) as table:
        table.put("customers", [Record("c1", now_us(), now_us(), {"income": 1, "rating": "C"})])
    client.app.state.service.rows.check()
    found = client.post("/predict?looked_up=true", json=GOOD).json()["looked_up"][0]
    assert found["income"]["value"] == 1


def test_new_values_count_at_once(home, client):
    with FeatureTable(home / "features.db", writable=True) as table:
        table.put("customers", [Record("c1", now_us(), now_us(), {"income": 60_000, "rating": "B"})])
    [found] = client.post("/predict?looked_up=true", json=GOOD).json()["looked_up"]
    assert found["income"]["value"] == 60_000


def test_a_schema_that_looks_nothing_up_has_no_lookup_and_is_parsed_as_before(tmp_path):
    service = Service(Settings(home=tmp_path, log_level="warning"), IRIS)
    assert service.rows.lookup is None
    assert service.asked is service.schema
    assert service.parser._mixed is None


class Slow:
    "Sources that answer when they may, and count the groups."

    def __init__(self, seconds: float = 0, error: Exception | None = None) -> None:
        self.lookups, self.groups, self.may, self.error = self, list[int](), threading.Event(), error
        self.seconds = seconds

    def complete(self, rows, now):
        self.groups.append(len(rows))
        self.may.wait(5)
        if self.error:
            raise self.error
        return [Completed(row, {}) for row in rows]

    def check(self): ...

    def close(self): ...


def test_requests_that_arrive_while_a_group_is_looked_up_are_the_next_group():
    async def run() -> list[list[Completed]]:
        lookup = FeatureLookup(lambda: slow, 5, 1000)
        lookup.check()
        tasks = [asyncio.create_task(lookup.complete([(i,)])) for i in range(1)]
        while not slow.groups:
            await asyncio.sleep(0.001)
        tasks += [asyncio.create_task(lookup.complete([(i,), (i,)])) for i in range(1, 20)]
        await asyncio.sleep(0)
        slow.may.set()
        return await asyncio.gather(*tasks)

    slow = Slow()
    found = asyncio.run(run())
    assert slow.groups == [1, 38]
    assert [[row.row[0] for row in rows] for rows in found] == [[0], *([i, i] for i in range(1, 20))]


def test_sources_that_do_not_answer_in_time_fail_the_group_and_not_the_service():
    async def run() -> None:
        lookup = FeatureLookup(lambda: slow, 0.05, 1000)
        lookup.check()
        with pytest.raises(SourceDown, match=r"within 0.05 s"):
            await lookup.complete([(1,)])
        slow.may.set()
        assert await lookup.complete([(2,)]) == [Completed((2,), {})]

    slow = Slow()
    asyncio.run(run())


@pytest.mark.parametrize("error", [SourceError("the source is ill"), RuntimeError("a bug")])
def test_whatever_is_wrong_with_a_source_is_a_problem_of_every_request_of_the_group(error):
    async def run() -> list[object]:
        lookup = FeatureLookup(lambda: slow, 1, 1000)
        lookup.check()
        slow.may.set()
        return await asyncio.gather(*(lookup.complete([(i,)]) for i in range(3)), return_exceptions=True)

    slow = Slow(error=error)
    assert [type(e) for e in asyncio.run(run())] == [SourceDown] * 3


def test_rows_that_wait_for_their_features_are_bounded():
    async def run() -> None:
        lookup = FeatureLookup(lambda: slow, 5, 3)
        lookup.check()
        first = asyncio.create_task(lookup.complete([(0,)]))
        while not slow.groups:
            await asyncio.sleep(0.001)
        second = asyncio.create_task(lookup.complete([(1,)] * 2))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await lookup.complete([(2,)] * 2)
        slow.may.set()
        await asyncio.gather(first, second)

    slow = Slow()
    asyncio.run(run())


def test_a_caller_who_leaves_takes_nothing_from_the_others():
    async def run() -> list[Completed]:
        lookup = FeatureLookup(lambda: slow, 5, 100)
        lookup.check()
        leaves = asyncio.create_task(lookup.complete([(0,)]))
        stays = asyncio.create_task(lookup.complete([(1,)]))
        while not slow.groups:
            await asyncio.sleep(0.001)
        leaves.cancel()
        slow.may.set()
        return await stays

    slow = Slow()
    assert asyncio.run(run()) == [Completed((1,), {})]


def test_the_bundle_and_the_log_keep_where_a_feature_is_looked_up(client, home):
    assert client.post("/predict", json=GOOD).status_code == 200
    assert read_bundle(champion(home / "bundles"), LOANS).card.schema == LOANS
    with sqlite3.connect(home / "audit.db") as log:
        texts = [str(value) for row in log.execute("SELECT * FROM about") for value in row]
    log.close()
    assert any('"max_age": "7d"' in text for text in texts)


def test_the_key_is_not_in_the_log(client, home):
    assert client.post("/predict", json={**GOOD, "customer_id": "c1"}).status_code == 200
    [row] = client.get("/predictions/history").json()["predictions"]
    assert "customer_id" not in row
    assert "customer_id" not in row["features"]
