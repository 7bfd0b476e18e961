"""Hot reload: a new champion takes over by itself, a broken one changes nothing."""

import hashlib
import time
from functools import partial
from pathlib import Path

import pytest

from iris_nb.bundle import point_champion
from iris_nb.predict.predictor import Predictor
from iris_nb.table import SCHEMA
from serve.service import Service
from serve.settings import Settings
from tests.serve.load import LONG, Load, logged
from tests.waiting import wait_until

FIRST, SECOND = (f"{SCHEMA.name}_test-{v}" for v in "12")


def test_a_new_champion_is_noticed_by_itself(make_client, home):
    client = make_client()
    point_champion(home / "bundles", SECOND)
    wait_until(lambda: client.get("/health").json()["model_version"] == "2", "the new champion answers")


def test_the_first_champion_is_noticed_by_itself(make_client, home, row):
    pointer = home / "bundles" / "champion.json"
    text = pointer.read_text()
    pointer.unlink()
    client = make_client()
    assert client.post("/predict", json=row).status_code == 503
    pointer.write_text(text)
    wait_until(lambda: client.get("/health/ready").status_code == 200, "the first champion answers")
    assert client.post("/predict", json=row).status_code == 200


def spoil(home, name):
    "Change a file of the second version."
    path = home / "bundles" / SECOND / name
    path.write_bytes(path.read_bytes()[:-1] + b"\0")


@pytest.mark.parametrize("name", ["model.onnx", "card.json", "golden.json"])
def test_a_broken_champion_is_refused_and_the_old_one_goes_on(make_client, home, row, name):
    client = make_client()
    point_champion(home / "bundles", SECOND)
    spoil(home, name)
    wait_until(lambda: client.get("/health").json()["status"] == "degraded", "the broken champion is refused")
    health = client.get("/health")
    assert health.status_code == 200
    assert name in health.json()["faults"][0]
    assert client.post("/predict", json=row).json()["model_version"] == "1"
    assert "iris_model_fault 1.0" in client.get("/metrics").text


def test_a_half_written_pointer_changes_nothing_until_it_is_whole(make_client, home):
    client = make_client()
    pointer = home / "bundles" / "champion.json"
    point_champion(home / "bundles", SECOND)
    wait_until(lambda: client.get("/health").json()["model_version"] == "2", "the second answers")
    text = pointer.read_text()
    pointer.write_text(text[:7])
    wait_until(lambda: client.get("/health").json()["faults"], "the pointer is refused")
    assert client.get("/health").json()["model_version"] == "2"
    pointer.write_text(text)
    wait_until(lambda: client.get("/health").json()["status"] == "healthy", "the pointer is trusted again")


def test_a_first_champion_that_is_refused_is_why_there_is_no_model(home: Path):
    (home / "bundles" / f"{SCHEMA.name}_test-1" / "model.onnx").write_bytes(b"no model")
    service = Service(Settings(home=home))
    service.reloader.check()
    assert service.reloader.model is None
    assert "model.onnx" in service.faults()[0]


def test_a_champion_that_stays_refused_is_said_once(home: Path, caplog):
    service = Service(Settings(home=home))
    (home / "bundles" / "champion.json").write_text("{")
    service.reloader.check()
    service.reloader.check()
    assert caplog.text.count("the champion is refused") == 1


def answers_with(load: Load, version: str) -> bool:
    return bool(load.answers) and load.answers[-1]["model_version"] == version


@pytest.mark.slow
@pytest.mark.long
def test_swaps_under_load_fail_no_request_and_mix_nothing(live, home):
    expected = {}
    for name in (FIRST, SECOND):
        model = Predictor.load(home / "bundles" / name)
        expected[model.card.version] = list(model.predict([SCHEMA.example])[0].probabilities.values())
    service = live(IRIS_WATCH_SECONDS="0.05")
    load = Load(service.url)
    load.start()
    for i in range(60 if LONG else 20):
        point_champion(home / "bundles", (SECOND, FIRST)[i % 2])
        wait_until(partial(answers_with, load, "21"[i % 2]), "the new champion answers")
        time.sleep(1 if LONG else 0)
    load.stop()
    assert set(load.statuses) == {200}
    assert {answer["model_version"] for answer in load.answers} == {"1", "2"}
    for answer in load.answers:
        assert answer["probabilities"][0] == pytest.approx(expected[answer["model_version"]], abs=1e-9)
    assert sorted(logged(home)) == sorted(load.ids)


SPOILT = {
    "golden.json is empty": ("golden.json", "{}"),
    "golden.json is a list": ("golden.json", "[]"),
    "conformal.json is an object": ("conformal.json", '{"a": 1}'),
    "the card is nested deeply": ("card.json", "[" * 20_000),
    "the card is another": ("card.json", '{"name": 1}'),
}


def replace_with_right_sums(bundle, name, text):
    "Another idea of what a bundle holds, with checksums that fit."
    (bundle / name).write_text(text)
    sums = bundle / "SHA256SUMS"
    names = [line.split()[1] for line in sums.read_text().splitlines()]
    sums.write_text("".join(f"{hashlib.sha256((bundle / n).read_bytes()).hexdigest()}  {n}\n" for n in names))


@pytest.mark.parametrize(("name", "text"), SPOILT.values(), ids=SPOILT)
def test_a_bundle_with_right_sums_and_wrong_contents_is_refused_in_a_sentence(home, name, text):
    service = Service(Settings(home=home))
    service.reloader.check()
    replace_with_right_sums(home / "bundles" / SECOND, name, text)
    point_champion(home / "bundles", SECOND)
    service.reloader.check()
    assert name.split(".")[0] in service.reloader.fault
    assert service.reloader.current().card.version == "1"


@pytest.mark.parametrize(
    "error", [KeyError("rows"), TypeError("none"), RecursionError(), MemoryError(), OSError(5, "io")]
)
def test_whatever_is_raised_while_loading_the_old_model_goes_on(home, monkeypatch, error):
    service = Service(Settings(home=home))
    service.reloader.check()

    def fails(*_: object) -> None:
        raise error

    point_champion(home / "bundles", SECOND)
    monkeypatch.setattr(Predictor, "load", fails)
    service.reloader.check()
    assert service.reloader.fault
    assert service.reloader.current().card.version == "1"
