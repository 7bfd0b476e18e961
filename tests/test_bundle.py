"""A bundle is trusted only when everything in it makes sense; the pointer beside it changes one step at a time."""

import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from iris_nb.bundle import (
    _REFERENCE_ROWS,
    FILES,
    BundleError,
    Card,
    _bundle_roles,
    _changing,
    champion,
    list_models,
    point_champion,
    read_bundle,
    roll_back,
    write_bundle,
)
from iris_nb.examples import IRIS
from iris_nb.session import disagreement

ROWS = np.array([list(IRIS.example.values()), [6.3, 2.9, 5.6, 1.8]])
CLASSES = len(IRIS.classes)
CARD = Card("iris_constant", "1", "2026-01-01T00:00:00+00:00", IRIS, metrics={"accuracy": 0.9})


def constant_model(*answer: float) -> bytes:
    "An ONNX model that gives the same numbers for every row, whether they are probabilities or not."
    weights = numpy_helper.from_array(np.zeros((len(IRIS.names), len(answer))), "W")
    bias = numpy_helper.from_array(np.array(answer, dtype=np.float64), "b")
    nodes = [helper.make_node("MatMul", ["X", "W"], ["Z"]), helper.make_node("Add", ["Z", "b"], ["probabilities"])]
    given_, answers = (
        helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, columns])
        for name, columns in (("X", len(IRIS.names)), ("probabilities", len(answer)))
    )
    graph = helper.make_graph(nodes, "constant", [given_], [answers], [weights, bias])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(made)
    return made.SerializeToString()


SURE = (0.7, 0.2, 0.1)
MODEL = constant_model(*SURE)


@pytest.fixture
def folder(tmp_path):
    P = np.tile(SURE, (2, 1))
    return write_bundle(tmp_path / "bundles", CARD, MODEL, (ROWS, P), (ROWS, list(IRIS.classes[:2])), [0.1, 0.3])


def forge(folder: Path, **contents: bytes) -> None:
    "Change files of a bundle and write the checksums that go with it; `golden_json` stands for golden.json."
    for name, data in contents.items():
        (folder / name.replace("_", ".")).write_bytes(data)
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in FILES]
    (folder / "SHA256SUMS").write_text("".join(sums))


def golden(P, rows=ROWS) -> bytes:
    return json.dumps({"rows": np.asarray(rows).tolist(), "probabilities": np.asarray(P).tolist()}).encode()


CARD_JSON = msgspec.json.decode(msgspec.json.encode(CARD))
NESTED = b"[" * 100_000
HOSTILE = {
    "golden_json": [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        NESTED,
        b'{"rows": [], "probabilities": []}',
        golden([SURE]),
        golden([SURE[:2]] * 2),
        golden([(7, -3, 0)] * 2),
        golden([(0.5, 0.2, 0.1)] * 2),
        golden([SURE] * 2, ROWS[:, :3]),
        golden([SURE[::-1]] * 2),
        golden([SURE] * 2).replace(b"0.7", b"NaN"),
        golden([SURE] * 2).replace(b"5.1", b"1e999"),
        golden([SURE] * 2).replace(b"5.1", b"9" * 400),
        golden([SURE] * 2).replace(b"5.1", b"null"),
        b'{"rows": ' + NESTED,
    ],
    "conformal_json": [
        b"",
        b'{"a":1}',
        b"7",
        b"[null]",
        b'["a"]',
        b"[[0.5]]",
        b"[7]",
        b"[-1]",
        b"[1e999]",
        b"[NaN]",
        NESTED,
    ],
    "reference_csv": [
        b"",
        b"\n",
        b"a,b\n1,2\n",
        b"\xff\xfe",
        b"\0",
        ",".join((*IRIS.names, IRIS.target)).encode(),
        *(
            ",".join((*IRIS.names, IRIS.target)).encode() + row
            for row in (
                b"\n1,2,3,setosa\n",
                b"\n1,2,3,nan,setosa\n",
                b"\n1,2,3,inf,setosa\n",
                b"\n1,2,3,4,rose\n",
                b"\n1,2,3,x,setosa\n",
                b"\n\n",
                b"\n1,2,3,4,5,setosa\n",
                b'\n1,2,3,4,"setosa\n',
            )
        ),
    ],
    "card_json": [
        b"",
        b"{}",
        b"[]",
        NESTED,
        b'{"name": ' + NESTED,
        *(
            json.dumps({**CARD_JSON, **change}).encode()
            for change in (
                {"name": 7},
                {"name": "../up"},
                {"name": "a/b"},
                {"version": None},
                {"schema": {}},
                {"metrics": [1]},
                {"metrics": {"a": "b"}},
                {"schema": {**CARD_JSON["schema"], "features": []}},
                {"schema": {**CARD_JSON["schema"], "classes": ["one"]}},
                {"name": "x" * 300},
                {"name": "a\0b"},
            )
        ),
        json.dumps(CARD_JSON).encode()[:-1] + b', "parameters": {"a": ' + NESTED,
    ],
    "model_onnx": [
        b"",
        b"no model",
        constant_model(0.7, 0.3),
        constant_model(0.4, 0.3, 0.2, 0.1),
        constant_model(7, -3, 0),
        constant_model(float("nan"), 0.5, 0.5),
        constant_model(0.1, 0.2, 0.7),
    ],
}


@pytest.mark.parametrize(("name", "data"), [(name, data) for name, many in HOSTILE.items() for data in many])
def test_wrong_contents_are_refused_although_every_checksum_is_right(folder, name, data):
    forge(folder, **{name: data})
    with pytest.raises(BundleError, match="iris_constant-1"):
        read_bundle(folder, IRIS)


@pytest.mark.parametrize("answer", [(0.7, 0.3), (0.4, 0.3, 0.2, 0.1), (7, -3, 0)])
def test_a_model_that_agrees_with_golden_rows_of_its_own_is_refused_where_they_are_no_probabilities(folder, answer):
    forge(folder, model_onnx=constant_model(*answer), golden_json=golden([answer] * 2))
    with pytest.raises(BundleError, match="golden.json"):
        read_bundle(folder, IRIS)


@pytest.mark.parametrize("answer", [(0.7, 0.3), (7, -3, 0)])
def test_what_could_not_be_read_again_is_not_written(tmp_path, answer):
    with pytest.raises(BundleError):
        write_bundle(tmp_path, CARD, constant_model(*answer), (ROWS, np.tile(answer, (2, 1))), (ROWS, ["setosa"] * 2))
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_leads_out_of_the_folder_is_not_written(tmp_path):
    card = Card("../up", "1", "", IRIS)
    with pytest.raises(BundleError, match="not a name for a folder"):
        write_bundle(tmp_path / "bundles", card, MODEL, (ROWS, np.tile(SURE, (2, 1))), (ROWS, ["setosa"] * 2))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def spoiled(draw, document):
    "A JSON document in which one place holds something else, or is missing."
    place = document = json.loads(json.dumps(document))
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
            place = place[key]
        elif draw(st.booleans()):
            place[key] = draw(JSON)
            return document
        else:
            del place[key]
            return document


DOCUMENTS = {"golden.json": json.loads(golden([SURE] * 2)), "card.json": CARD_JSON, "conformal.json": [0.1, 0.3]}
CONTENTS = st.one_of(
    st.tuples(st.sampled_from(FILES), st.binary(max_size=64)),
    *(
        st.tuples(st.just(name), spoiled(document).map(lambda d: json.dumps(d).encode()))
        for name, document in DOCUMENTS.items()
    ),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CONTENTS)
def test_whatever_a_file_holds_the_bundle_is_read_or_refused(folder, content):
    name, data = content
    whole = (folder / name).read_bytes()
    forge(folder, **{name.replace(".", "_"): data})
    with suppress(BundleError):
        found = read_bundle(folder, IRIS)
        assert found.golden[1].shape == (len(found.golden[0]), CLASSES)
        assert all(np.isfinite(array).all() for array in (*found.golden, found.reference[0], found.scores))
    (folder / name).write_bytes(whole)


def test_a_file_that_is_too_large_is_not_read(folder):
    os.truncate(folder / "card.json", 100 << 20)
    with pytest.raises(BundleError, match="at most"):
        read_bundle(folder, IRIS)
    assert list_models(folder.parent) == []


def test_a_file_that_may_not_be_read_is_named(folder):
    (folder / "golden.json").unlink()
    (folder / "golden.json").mkdir()
    with pytest.raises(BundleError, match="golden.json"):
        read_bundle(folder, IRIS)


def test_a_class_with_a_quote_or_a_comma_in_its_name_is_read_back(tmp_path):
    schema = replace(IRIS, classes=('o"n,e', 'thr"ee', "four,"))
    P, labels = np.tile(SURE, (2, 1)), list(schema.classes[:2])
    made = write_bundle(tmp_path, replace(CARD, schema=schema), MODEL, (ROWS, P), (ROWS, labels))
    assert read_bundle(made, schema).reference[1] == labels


def test_what_is_no_model_disagrees_with_everything():
    assert "can't answer" in disagreement(b"no model", ROWS, np.tile(SURE, (2, 1)))


def test_a_folder_without_checksums_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match="SHA256SUMS"):
        read_bundle(tmp_path)


@pytest.fixture
def root(folder):
    "Three versions, none of them promoted."
    for version in ("2", "3"):
        copy = folder.with_name(f"iris_constant-{version}")
        shutil.copytree(folder, copy)
        forge(copy, card_json=json.dumps({**CARD_JSON, "version": version}).encode())
    return folder.parent


def version(number: int) -> str:
    return f"iris_constant-{number}"


POINTERS = [
    b"", b"{", b"[]", b"7", b"\xff", NESTED, b'{"x": ' + NESTED, b'{"bundle": 7}', b'{"bundle": ["a"]}',
    *(json.dumps({"bundle": name}).encode() for name in ("", ".", "..", "../..", "/etc", "a/b", "a\0b", "n" * 5000)),
    b'{"bundle": "iris_constant-1", "before": ["../../etc"]}', b'{"bundle": "iris_constant-1", "before": 7}',
]  # fmt: skip


@pytest.mark.parametrize("data", POINTERS)
def test_a_pointer_that_makes_no_sense_is_refused_by_everyone_who_asks(root, data):
    (root / "champion.json").write_bytes(data)
    for ask in (champion, roll_back, lambda root: point_champion(root, version(1))):
        with pytest.raises(BundleError, match="champion.json"):
            ask(root)
    assert _bundle_roles(root) == {}
    assert (root / "champion.json").read_bytes() == data


def test_a_pointer_that_is_a_folder_is_refused(root):
    (root / "champion.json").mkdir()
    with pytest.raises(BundleError, match="champion.json"):
        champion(root)


def test_without_a_pointer_there_is_no_champion_and_none_before(root):
    assert champion(root) is None
    assert champion(root / "nowhere") is None
    with pytest.raises(BundleError, match="no champion before"):
        roll_back(root / "nowhere")


@given(st.binary(max_size=64) | JSON.map(lambda d: json.dumps(d).encode()) | spoiled({"bundle": "a", "before": ["b"]}))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_pointer_holds_it_names_a_folder_beside_it_or_is_refused(root, data):
    (root / "champion.json").write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    with suppress(BundleError):
        assert champion(root).parent == root


def test_a_champion_that_is_pointed_at_again_is_not_its_own_forerunner(root):
    point_champion(root, version(1))
    before = (root / "champion.json").read_bytes()
    point_champion(root, version(1))
    assert (root / "champion.json").read_bytes() == before


def test_of_many_rollbacks_at_once_each_goes_one_step_or_learns_that_there_is_none(root):
    steps = [version(i % 2 + 1) for i in range(8)]
    for folder in steps:
        point_champion(root, folder)

    def go(_: int) -> str:
        try:
            return roll_back(root).name
        except BundleError as error:
            return str(error)

    with ThreadPoolExecutor(12) as threads:
        outcomes = list(threads.map(go, range(24)))
    done = [outcome for outcome in outcomes if outcome.startswith("iris_constant")]
    assert sorted(done) == sorted(steps[:-1])
    assert set(outcomes) - set(done) == {"There is no champion before this one to go back to."}
    assert champion(root).name == steps[0]


def test_of_many_promotions_at_once_none_is_lost(root):
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda i: point_champion(root, version(i % 3 + 1)), range(12)))
    assert set(_bundle_roles(root)) == {version(1), version(2), version(3)}
    assert [path.name for path in root.iterdir() if path.name.startswith(".")] == []


def test_a_change_waits_for_another_one_only_so_long(root):
    point_champion(root, version(1))
    with _changing(root), pytest.raises(BundleError, match="Another program"), _changing(root, 0.05):
        raise AssertionError("Both had the lock.")


def roles(root: Path) -> dict[str, str]:
    return {card.version: role for card, role in list_models(root)}


def test_without_a_champion_the_newest_is_the_challenger(root):
    assert sorted(roles(root).values()) == ["challenger", "not promoted", "not promoted"]


def test_a_champion_before_is_no_challenger(root):
    for number in (1, 2):
        point_champion(root, version(number))
    known = roles(root)
    assert known["1"] == "earlier champion"
    assert known["2"] == "champion"


def test_after_a_roll_back_the_one_before_is_champion_again(root):
    for number in (1, 2):
        point_champion(root, version(number))
    roll_back(root)
    assert roles(root)["1"] == "champion"


def test_a_broken_card_is_left_out(root):
    (root / version(2) / "card.json").write_text("{")
    assert set(roles(root)) == {"1", "3"}


def test_a_bundle_that_is_still_being_written_is_left_out(root):
    shutil.copytree(root / version(1), root / ".new-1")
    assert len(list_models(root)) == 3


def test_where_there_are_no_bundles_none_are_listed(tmp_path):
    assert list_models(tmp_path / "nowhere") == []


def test_the_facts_of_the_gate_travel_in_the_bundle_and_are_under_its_seal(tmp_path):
    arguments = (MODEL, (ROWS, np.array([SURE] * 2)), (ROWS, IRIS.classes[:2]), [0.1])
    without, made = write_bundle(tmp_path, CARD, *arguments), replace(CARD, version="2")
    folder = write_bundle(tmp_path, made, *arguments, facts=b'{"name": "a"}')
    assert read_bundle(without, IRIS).facts == b""
    assert read_bundle(folder, IRIS).facts == b'{"name": "a"}'
    (folder / "facts.json").write_bytes(b'{"name": "b"}')
    with pytest.raises(BundleError, match="was changed: facts.json"):
        read_bundle(folder, IRIS)
    (folder / "facts.json").unlink()
    with pytest.raises(BundleError, match="was changed"):
        read_bundle(folder, IRIS)


def test_a_long_reference_sample_is_read_through_a_fixed_part_of_it(tmp_path):
    X = np.random.default_rng(0).uniform(1, 7, (_REFERENCE_ROWS + 500, len(IRIS.names)))
    labels = [IRIS.classes[i % 3] for i in range(len(X))]
    folder = write_bundle(tmp_path, CARD, MODEL, (ROWS, np.array([SURE] * 2)), (X, labels), [0.1])
    read, known = read_bundle(folder, IRIS).reference
    again, _ = read_bundle(folder, IRIS).reference
    assert read.shape == (_REFERENCE_ROWS, len(IRIS.names))
    assert np.array_equal(read, again)
    truth = dict(zip(map(tuple, X.tolist()), labels, strict=True))
    assert all(truth[tuple(row)] == label for row, label in zip(read.tolist(), known, strict=True))
