"""Everything a caller can get wrong, and what it is told."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient

from iris_nb.examples import HOUSES, IRIS
from iris_nb.schema import Category, Schema, faults_of
from serve.app import create_app
from serve.errors import InvalidInput
from serve.parsing import BodyParser
from serve.settings import Settings
from tests.serve.mixed import doubles_of, write_champion


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient[Litestar]]:
    "One service for all of this page: nothing here changes it."
    home = tmp_path_factory.mktemp("home")
    write_champion(home / "bundles", IRIS, doubles_of(IRIS))
    with TestClient(create_app(Settings(home=home, log_level="warning"), schema=IRIS)) as client:
        yield client


FIRST, SECOND = IRIS.names[:2]
PARSER = BodyParser(IRIS)


GOOD = json.dumps(IRIS.example)
VALUE = json.dumps(IRIS.example[IRIS.names[0]])


def spoilt(**values: object) -> str:
    "The example with some values replaced, NaN allowed."
    return json.dumps({**IRIS.example, **values})


def without(name: str) -> str:
    return json.dumps({k: v for k, v in IRIS.example.items() if k != name})


#: body: the pointers that its answer names
BAD_ROWS = {
    "missing": (without(FIRST), [f"/{FIRST}"]),
    "unknown": (spoilt(colour=1), ["/colour"]),
    "text": (spoilt(**{FIRST: "5.1"}), [f"/{FIRST}"]),
    "bool": (spoilt(**{FIRST: True}), [f"/{FIRST}"]),
    "null": (spoilt(**{FIRST: None}), [f"/{FIRST}"]),
    "list": (spoilt(**{FIRST: [5.1]}), [f"/{FIRST}"]),
    "not a number": (spoilt(**{FIRST: float("nan")}), [f"/{FIRST}"]),
    "infinite": (spoilt(**{FIRST: float("inf")}), [f"/{FIRST}"]),
    "too low": (spoilt(**{FIRST: -1}), [f"/{FIRST}"]),
    "too high": (spoilt(**{FIRST: 1e6}), [f"/{FIRST}"]),
    "beyond any float": (GOOD.replace(VALUE, "1e999"), [f"/{FIRST}"]),
    "a huge integer": (spoilt(**{FIRST: 10**400}), [f"/{FIRST}"]),
    "two at once": (spoilt(**{FIRST: "x", SECOND: None}), [f"/{FIRST}", f"/{SECOND}"]),
    "nothing right": ('{"a": 1}', [*(f"/{name}" for name in IRIS.names), "/a"]),
    "twice the same name": (GOOD[:-1] + f', "{FIRST}": 5.1}}', [f"/{FIRST}"]),
    "a name with a slash": (spoilt(**{"a/b~c": 1}), ["/a~1b~0c"]),
    "a list": (f"[{GOOD}]", [""]),
    "a number": ("5.1", [""]),
    "nothing": ("", [""]),
    "half an object": (GOOD[:-3], [""]),
    "not JSON": ("flower", [""]),
    "two objects": (GOOD + GOOD, [""]),
    "thousands of digits": (GOOD.replace(VALUE, "5" * 5000), [""]),
    "very deep": ("[" * 100_000, [""]),
    "very deep inside": (GOOD.replace(VALUE, "[" * 50_000 + "]" * 50_000), [""]),
}


@pytest.mark.parametrize(("body", "pointers"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_a_400_that_names_every_fault(client, body, pointers):
    answer = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 400
    assert [e["pointer"] for e in problem["errors"]] == pointers
    assert all(e["expected"] and e["got"] for e in problem["errors"])


BAD_BATCHES = {
    "no samples": ("{}", ["/samples"]),
    "empty": ('{"samples": []}', ["/samples"]),
    "no list": ('{"samples": {}}', ["/samples"]),
    "a list alone": (f"[{GOOD}]", [""]),
    "more than samples": (f'{{"samples": [{GOOD}], "mode": 1}}', ["/mode"]),
    "samples twice": (f'{{"samples": [{GOOD}], "samples": [{GOOD}]}}', ["/samples"]),
    "a row twice the same name": (f'{{"samples": [{GOOD[:-1]}, "{SECOND}": 3.5}}]}}', [f"/samples/0/{SECOND}"]),
    "a row that is none": (f'{{"samples": [{GOOD}, 7]}}', ["/samples/1"]),
    "two bad rows": (f'{{"samples": [{without(FIRST)}, {GOOD}, {without(SECOND)}]}}',
                     [f"/samples/0/{FIRST}", f"/samples/2/{SECOND}"]),
}  # fmt: skip


@pytest.mark.parametrize(("body", "pointers"), BAD_BATCHES.values(), ids=BAD_BATCHES)
def test_a_bad_batch_is_a_400_that_names_every_fault(client, body, pointers):
    answer = client.post("/predict/batch", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert [e["pointer"] for e in answer.json()["errors"]] == pointers


def test_too_many_rows_are_refused_with_the_limit(make_client, row):
    answer = make_client(max_rows=3).post("/predict/batch", json={"samples": [row] * 4})
    assert answer.status_code == 400
    assert "1 to 3 rows" in answer.json()["detail"]


def test_a_thousand_bad_rows_do_not_make_an_endless_answer(client):
    answer = client.post("/predict/batch", json={"samples": [{}] * 5000})
    assert len(answer.json()["errors"]) == 1000
    assert "more" in answer.json()["detail"]


def test_bytes_that_are_not_utf8_are_a_400(client):
    answer = client.post("/predict", content=b'{"a\xff": 1}', headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert "UTF-8" in answer.json()["detail"]


def test_what_was_sent_is_repeated_only_in_part(client):
    answer = client.post("/predict", content=spoilt(**{FIRST: "x" * 10_000}))
    assert len(answer.content) < 2000


def outcome(read):
    "The rows that were read, and the faults that were found."
    try:
        return read(), []
    except InvalidInput as error:
        return [], error.errors


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


near_bounds = st.sampled_from([x for f in IRIS.features for x in (f.low, f.high, f.low - 1e-9, f.high + 1e-9)])


some_rows = st.dictionaries(
    st.sampled_from(IRIS.names), st.floats() | st.integers() | near_bounds | json_values, min_size=3
) | st.fixed_dictionaries({f.name: st.floats(f.low, f.high) | near_bounds for f in IRIS.features})


@given(some_rows)
def test_the_fast_parser_accepts_what_the_schema_accepts(row):
    body = json.dumps(row).encode()
    expected = faults_of(IRIS, row)
    numbers = () if expected else tuple(float(row[name]) for name in IRIS.names)
    assert (PARSER.row_fast(body) or ()) == numbers
    assert (PARSER.batch_fast(b'{"samples":[%b]}' % body, 10) or [()]) == [numbers]
    for read in (lambda: [PARSER.row(body)], lambda: PARSER.batch(b'{"samples":[%b]}' % body, 10)):
        found, errors = outcome(read)
        assert [e.field for e in errors] == [f.field for f in expected]
        assert found == ([] if expected else [numbers])


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(body):
    PARSER.row_fast(body)
    PARSER.batch_fast(body, 10)
    for read in (lambda: [PARSER.row(body)], lambda: PARSER.batch(body, 10)):
        numbers, errors = outcome(read)
        assert numbers or errors


MANY = 20_000
LARGE_ANSWERS = {
    "unknown names of a row": ("/predict", "{" + ",".join(f'"{i:x}":1' for i in range(MANY)) + "}"),
    "one long name": ("/predict", json.dumps({"n" * 1_000_000: 1})),
    "unknown names of a batch": ("/predict/batch", json.dumps({f"{i:x}": 1 for i in range(MANY)})),
    "empty rows": ("/predict/batch", json.dumps({"samples": [{}] * 9_999})),
    "empty rows and a good one": (
        "/predict/batch?partial=true",
        json.dumps({"samples": [{}] * 9_999 + [json.loads(GOOD)]}),
    ),
    "wrong rows": ("/predict/batch?partial=true", json.dumps({"samples": [{"n" * 90: 1}] * 9_999})),
    "unknown names of a label": ("/predictions/x/label", json.dumps({f"{i:x}": 1 for i in range(MANY)})),
    "options": ("/predict?" + "&".join(["alpha=x"] * 1_500), GOOD),
}


@pytest.mark.parametrize(("path", "body"), LARGE_ANSWERS.values(), ids=LARGE_ANSWERS)
def test_however_many_faults_there_are_the_answer_is_bounded(client, path, body):
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert len(answer.content) < 500_000
    found = answer.json()
    listed = found.get("errors") or [e for bad in found.get("rejected", []) for e in bad["errors"]]
    assert 1 <= len(listed) <= 1000


def test_faults_that_are_not_listed_are_counted(client):
    body = {**json.loads(GOOD), **{f"n{i}": 1 for i in range(1234)}}
    assert client.post("/predict", json=body).json()["detail"].endswith("and 1,229 more")
    rows = client.post("/predict/batch", json={"samples": [body]}).json()
    assert rows["detail"].endswith("and 1,229 more")


def test_bad_rows_beyond_the_listed_faults_are_still_named_by_their_place(client):
    samples = [{}] * 500 + [json.loads(GOOD)]
    found = client.post("/predict/batch?partial=true", json={"samples": samples}).json()
    assert [bad["index"] for bad in found["rejected"]] == list(range(500))


UNSENDABLE = {
    "a row": ("/predict", '{"\\ud800": 1}'),
    "a batch": ("/predict/batch", '{"samples": [], "\\ud800": 1}'),
    "a row of a batch": ("/predict/batch", '{"samples": [{"\\ud800": "\\udfff"}]}'),
    "a label": ("/predictions/x/label", '{"label": "\\ud800", "\\udc00": 1}'),
    "a value": ("/predict", GOOD.replace(VALUE, '"\\ud800"')),
}


@pytest.mark.parametrize(("path", "body"), UNSENDABLE.values(), ids=UNSENDABLE)
def test_half_a_character_in_a_body_is_a_400(client, path, body):
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["errors"]
    assert answer.headers["x-request-id"]


BAD_LABELS = {
    "very deep": "[" * 9_999,
    "names that stand twice": f'{{"label": "{IRIS.classes[0]}", "label": "{IRIS.classes[1]}"}}',
    "a boolean as text": f'{{"label": "{IRIS.classes[0]}", "correct": "true"}}',
    "a boolean as a number": f'{{"label": "{IRIS.classes[0]}", "correct": 1}}',
    "a list": "[]",
    "a label in a list": f'{{"label": ["{IRIS.classes[0]}"]}}',
}


@pytest.mark.parametrize("body", BAD_LABELS.values(), ids=BAD_LABELS)
def test_a_label_keeps_to_the_grammar_of_predictions(client, body):
    answer = client.post("/predictions/x/label", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["errors"]


MIXED = BodyParser(HOUSES)
#: JSON that a stranger may send for a field of any kind.
TOKENS = [
    *("null", "true", "false", "0", "1", "5", "5.0", "5.5", "-0", "1e1", "1e400", "10" * 30, "NaN", "Infinity"),
    *('"TRUE"', '"true"', '"1"', '"5"', '""', '" "', '"gas"', '"Gas"', '"gas "', '"\\u0067as"', '"ｇas"', '"coal"'),
    *('"other"', '"fair"', '"Old Town"', '"Old\xa0Town"', '"Harbour"', '"12\\" pipe"', '"back\\\\slash"', '"a\\tb"'),
    *('"2026-02-28"', '"2026-02-30"', '"2026-2-28"', '"1849-12-31"', '"2050-12-31"', '"2051-01-01"', '"0000-01-01"'),
    *('"2026-02-28T00:00:00Z"', '"2026-02-28\\n"', '"２０２６-02-28"', '"20260228"', "20260228", '"2026-W09-6"'),
    *(
        '"\\ud800"',
        '"\\u0000"',
        f'"{"x" * 100}"',
        f'"{"x" * 101}"',
        '"\u202egas"',
        "[]",
        "{}",
        '["gas"]',
        '{"a": "gas"}',
    ),
]
house_values = {f.name: st.just(json.dumps(f.example)) | st.sampled_from(TOKENS) for f in HOUSES.features}
whole_houses = st.fixed_dictionaries(house_values).map(lambda row: list(row.items()))
one_odd_field = st.tuples(st.sampled_from(HOUSES.names), st.sampled_from(TOKENS))
any_fields = st.lists(st.tuples(st.sampled_from([*HOUSES.names, "heat\\u0069ng", "colour"]), st.sampled_from(TOKENS)))
GOOD_HOUSE = [(name, json.dumps(value)) for name, value in HOUSES.example.items()]


def written(pairs: list[tuple[str, str]]) -> bytes:
    return ("{" + ", ".join(f'"{name}": {value}' for name, value in pairs) + "}").encode()


def house_faults(body: bytes, pairs: list[tuple[str, str]]) -> list[str]:
    "The fields of a row that the schema refuses, those that stand twice among them."
    names = [json.loads(f'"{name}"') for name, _ in pairs]
    twice = {name for name in names if names.count(name) > 1}
    row = {name: object() if name in twice else value for name, value in json.loads(body).items()}
    return [fault.field for fault in faults_of(HOUSES, row)]


def check_both_parsers(pairs: list[tuple[str, str]]) -> None:
    "Compare both parsers with the schema, on a row that is given as names and JSON."
    body = written(pairs)
    batch = b'{"samples": [%b, %b]}' % (body, written(GOOD_HOUSE))
    expected = house_faults(body, pairs)
    found, errors = outcome(lambda: MIXED.row(body))
    assert [e.field for e in errors] == expected
    rows, errors = outcome(lambda: MIXED.batch(batch, 10))
    assert [e.pointer for e in errors] == [f"/samples/0/{name}" for name in expected]
    fast, fast_rows = MIXED.row_fast(body), MIXED.batch_fast(batch, 10)
    if expected:
        assert (fast, fast_rows) == (None, None)
    else:
        assert found == rows[0]
        assert fast in (found, None)
        assert fast_rows in (rows, None)
        for row in (fast or found, *(fast_rows or [])):
            assert all(f.accepts(value) for f, value in zip(HOUSES.features, row, strict=True))
            assert not any(type(value) is int for value in row)
        assert fast or b'\\"' in body, "a good row takes the slow way"


def test_both_parsers_accept_of_each_field_what_the_schema_accepts():
    for name, good in GOOD_HOUSE:
        for token in TOKENS:
            check_both_parsers([(n, token if n == name else value) for n, value in GOOD_HOUSE])
            check_both_parsers([*GOOD_HOUSE, (name, token)])
        check_both_parsers([(n, value) for n, value in GOOD_HOUSE if n != name])
        check_both_parsers([*GOOD_HOUSE, (name, good)])


@given(st.lists(one_odd_field) | whole_houses | any_fields)
def test_both_parsers_accept_the_rows_of_any_kind_that_the_schema_accepts(pairs):
    check_both_parsers(pairs)


@given(st.binary(max_size=40))
def test_no_bytes_inside_a_text_break_the_readers(inside):
    body = written(GOOD_HOUSE).replace(b"North", inside)
    fast, (found, errors) = MIXED.row_fast(body), outcome(lambda: MIXED.row(body))
    assert bool(found) != bool(errors)
    assert fast is None or fast == found


def told(**values: object) -> dict[str, str]:
    "What is said of a house with some values replaced, by field."
    _, errors = outcome(lambda: MIXED.row(json.dumps({**HOUSES.example, **values}).encode()))
    return {e.field: f"expected {e.expected}, got {e.got}" for e in errors}


def test_a_fault_says_what_a_value_of_its_kind_looks_like():
    assert told(rooms=5.5) == {"rooms": "expected a whole number from 1 to 30, got 5.5"}
    assert told(heating="coal") == {"heating": 'expected one of gas, oil, heat pump, or null, got "coal"'}
    assert told(condition=None) == {"condition": "expected one of poor, fair, good, got null"}
    assert told(garden=1) == {"garden": "expected true or false, or null, got 1"}
    assert told(garden="TRUE") == {"garden": 'expected true or false, or null, got "TRUE"'}
    assert told(built="2026-02-30")["built"].endswith('a date from 1850-01-01 to 2050-12-31, got "2026-02-30"')
    assert told(rent=float("nan"))["rent"].startswith("expected a number from 0 to 20000 €, or null")


def test_a_long_list_of_known_values_is_cut():
    streets = Category("street", tuple(f"street {i}" for i in range(900)), "Where it is.", "street 1")
    parser = BodyParser(Schema("streets", "house", (streets,), "sold", ("yes", "no")))
    _, errors = outcome(lambda: parser.row(b'{"street": "lane"}'))
    assert errors[0].expected.startswith("one of street 0, street 1, ")
    assert len(errors[0].expected) < 310


def test_a_gap_may_be_null_or_left_out():
    gaps = {**HOUSES.example, "garden": None, "rent": None}
    left_out = {name: value for name, value in gaps.items() if value is not None}
    for row in (gaps, left_out):
        body = json.dumps(row).encode()
        assert MIXED.row_fast(body) == MIXED.row(body) == (120, 4, "gas", "fair", "North", None, "1987-05-01", None)
