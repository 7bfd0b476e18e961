"""Which champion counts, what contradicts it, and what a promotion changes."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from iris_nb.bundle import Card, champion, point_champion, read_bundle, write_bundle
from iris_nb.examples import IRIS, irises
from iris_nb.train import commands, tracking
from iris_nb.train.candidates import build, candidate
from iris_nb.train.data import arrays
from iris_nb.train.gate import Facts, from_json, to_json
from iris_nb.train.onnx_export import to_onnx
from iris_nb.train.promotion import promote, reigning_champion

# MLflow 3.17 asks SQLAlchemy 2.1 for a way of loading that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning")

FLOWERS = irises()
X, Y = arrays(FLOWERS, IRIS)
MODEL = build(candidate("lda")).fit(X, Y)
ONNX = to_onnx(MODEL, IRIS)
FACTS = Facts("iris_lda 1", 0.98, 0.01, 0.02, "data", "2 x 5", 1 / 4, [0.05, 0.06] * 5, prior_log_losses=[1.1] * 10)
WORSE = dataclasses.replace(FACTS, name="iris_lda 2", log_losses=[0.5, 0.6] * 5)


class Registry:
    "As much of MLflow's registry as a promotion needs, in memory; `empty` does what a new server is."

    address, model = "http://registry", IRIS.name

    def __init__(self) -> None:
        self.empty()

    def empty(self) -> None:
        self.versions, self.aliases, self.files, self.logged = {}, {}, {}, {}

    def version(self, run_id: str) -> str:
        self.versions[str(len(self.versions) + 1)] = run_id
        return str(len(self.versions))


@pytest.fixture
def registry(monkeypatch):
    found = Registry()
    monkeypatch.setattr("iris_nb.train.promotion.aliased_version", lambda t, alias: t.aliases.get(alias, ""))
    monkeypatch.setattr("iris_nb.train.promotion.run_of_version", lambda t, version: t.versions[version])
    monkeypatch.setattr(
        "iris_nb.train.promotion.set_alias", lambda t, alias, version: t.aliases.update({alias: version})
    )
    monkeypatch.setattr("iris_nb.train.promotion.log_facts", lambda t, run_id, *words, **named: t.logged.update(named))

    def load(t: Registry, run_id: str, path: str) -> bytes:
        if (run_id, path) not in t.files:
            raise tracking.MissingError(f"The run {run_id} has no file {path}.")
        return t.files[run_id, path]

    monkeypatch.setattr("iris_nb.train.promotion.load_artifact", load)
    return found


def train(registry: Registry, home: Path, run_id: str, facts: Facts = FACTS, bundled: bool = True) -> tuple[str, Path]:
    "Register a version and write its bundle, as a training does."
    version = registry.version(run_id)
    registry.files[run_id, "facts.json"] = to_json(facts)
    label = tracking.free_version(home / "bundles", "iris_lda", version)
    metrics = {"accuracy": 0.98, "log_loss": facts.log_loss, "calibration_error": 0.01, "row_ms": 0.02}
    card = Card("iris_lda", label, "2026-01-01T00:00:00+00:00", IRIS, metrics=metrics, run_id=run_id)
    golden, reference = (X[:9], MODEL.predict_proba(X[:9])), (X, FLOWERS[IRIS.target])
    kept = to_json(facts) if bundled else b""
    return version, write_bundle(home / "bundles", card, ONNX, golden, reference, facts=kept)


def promoted(registry: Registry, home: Path, run_id: str, facts: Facts = FACTS, **more: bool) -> Path:
    version, bundle = train(registry, home, run_id, facts, **more)
    assert promote(registry, run_id, version, bundle, facts, schema=IRIS).passed
    return bundle


def test_the_first_champion_has_nothing_to_be_compared_with_and_nothing_contradicts_it(registry, tmp_path):
    assert reigning_champion(registry, tmp_path / "bundles", IRIS) == (None, [])
    bundle = promoted(registry, tmp_path, "a")
    assert reigning_champion(registry, tmp_path / "bundles", IRIS) == (FACTS, [])
    assert (champion(tmp_path / "bundles"), registry.aliases) == (bundle, {"champion": "1"})
    assert (tmp_path / "gate.txt").read_text().startswith("The gate agrees.")


@pytest.mark.parametrize("bundled", [True, False])
def test_a_worse_model_is_refused_though_the_registry_was_emptied(registry, tmp_path, bundled):
    bundle = promoted(registry, tmp_path, "a", bundled=bundled)
    registry.empty()
    facts, said = reigning_champion(registry, tmp_path / "bundles", IRIS)
    assert facts.log_loss == pytest.approx(FACTS.log_loss)
    assert "has no champion (it may be new, or was emptied)" in said[0]
    assert bundle.name in said[0]
    version, worse = train(registry, tmp_path, "b", WORSE)
    assert (version, worse.name) == ("1", "iris_lda-1.2")
    verdict = promote(registry, "b", version, worse, WORSE, challenge=True, schema=IRIS)
    assert not verdict.passed
    assert said[0] in verdict.reasons
    assert champion(tmp_path / "bundles") == bundle
    assert registry.aliases == {"challenger": "1"}


def test_a_registry_that_names_another_champion_is_contradicted_by_the_one_that_answers(registry, tmp_path):
    bundle = promoted(registry, tmp_path, "a")
    registry.aliases["champion"], _ = train(registry, tmp_path, "b", WORSE)
    facts, said = reigning_champion(registry, tmp_path / "bundles", IRIS)
    assert facts == FACTS
    assert said == [
        f"The registry's champion is version 2, which another run made; the champion that answers is {bundle.name}, "
        "and counts."
    ]


def test_where_no_champion_answers_that_of_the_registry_is_compared_with(registry, tmp_path):
    promoted(registry, tmp_path / "one", "a")
    facts, said = reigning_champion(registry, tmp_path / "other" / "bundles", IRIS)
    assert facts == FACTS
    assert "No champion answers here" in said[0]


def test_a_champion_that_is_damaged_is_said_and_the_registry_asked(registry, tmp_path):
    bundle = promoted(registry, tmp_path, "a")
    (bundle / "card.json").write_text("{}")
    facts, said = reigning_champion(registry, tmp_path / "bundles", IRIS)
    assert facts == FACTS
    assert "can't be compared with: " in said[0]
    assert "card.json" in said[0]


def test_facts_from_before_the_priors_were_asked_for_get_those_of_the_training_sample(registry, tmp_path):
    old = json.loads(to_json(FACTS))
    for name in ("prior_log_losses", "rarest", "rarest_found", "rarest_rows", "notes"):
        del old[name]
    facts = from_json(json.dumps(old).encode())
    version, bundle = train(registry, tmp_path, "a", facts, bundled=False)
    verdict = promote(registry, "a", version, bundle, facts, schema=IRIS)
    assert verdict.passed
    assert f"against {np.log(3):.4f}" in str(verdict)


def test_a_name_is_free_until_a_bundle_has_it(tmp_path):
    assert tracking.free_version(tmp_path, "iris_lda", "1") == "1"
    (tmp_path / "iris_lda-1").mkdir()
    (tmp_path / "iris_lda-1.2").mkdir()
    assert tracking.free_version(tmp_path, "iris_lda", "1") == "1.3"


@pytest.mark.parametrize("version", ["banana", "-1", "1.5", "iris_lda-1", "１"])
def test_a_version_that_is_none_is_said_before_mlflow_is_imported(version, tmp_path, monkeypatch):
    monkeypatch.setenv("IRIS_HOME", str(tmp_path))
    monkeypatch.setattr(tracking, "connect", None)
    done = CliRunner().invoke(commands.promote, ["--", version])
    assert str(done.exception) == (
        f"VERSION is a number or `challenger`, got {version!r}. `iris-nb runs` lists the versions."
    )
    assert not list(tmp_path.iterdir())


def test_who_asks_for_runs_or_a_promotion_where_nothing_was_trained_makes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("IRIS_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert "No runs yet" in CliRunner().invoke(commands.runs).output
    assert "No model was registered yet" in str(CliRunner().invoke(commands.promote, ["1"]).exception)
    assert not list(tmp_path.iterdir())


def test_a_rollback_leaves_the_alias_where_the_registry_has_no_version_of_that_bundle(tmp_path, monkeypatch, registry):
    first, second = (train(registry, tmp_path, run_id)[1] for run_id in ("a", "b"))
    for bundle in (first, second):
        point_champion(tmp_path / "bundles", bundle.name)
    moved = []
    monkeypatch.setenv("IRIS_HOME", str(tmp_path))
    monkeypatch.setattr(commands, "read_bundle", lambda folder: read_bundle(folder, IRIS))
    monkeypatch.setattr(tracking, "connect", lambda home: registry)
    monkeypatch.setattr(tracking, "set_alias", lambda t, alias, version: moved.append((alias, version)))
    monkeypatch.setattr(tracking, "version_of_run", lambda t, run_id: "")
    done = CliRunner().invoke(commands.rollback)
    assert done.exit_code == 0
    assert f"no version that was made with {first.name}" in done.output
    assert moved == []
    point_champion(tmp_path / "bundles", second.name)
    monkeypatch.setattr(tracking, "version_of_run", lambda t, run_id: {"a": "7"}[run_id])
    assert "points at version 7" in CliRunner().invoke(commands.rollback).output
    assert moved == [("champion", "7")]
