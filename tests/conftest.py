"""What every test may ask for: a real bundle, made as the pipeline makes it, only smaller."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from iris_nb.bundle import Card, point_champion, write_bundle
from iris_nb.schema import Schema
from iris_nb.table import SCHEMA, load_rows
from iris_nb.train.data import arrays
from iris_nb.train.encoding import encoder_for

pytest_plugins = ["tests.browsing", "tests.dashboards", "tests.databases", "tests.training"]
# Started in the background by a script, or by nohup, Python ignores these, and so would every program started here.
for _signal, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(_signal) == signal.SIG_IGN:
        signal.signal(_signal, _usual)
# How long an example takes depends on the machine and its mood, and on whether coverage looks on.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
MakeBundle = Callable[..., Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    "Put files with slow tests first, so that of several processes none is left alone with one at the end."
    slow = {item.path for item in items if any(map(item.get_closest_marker, ("slow", "browser", "long")))}
    items.sort(key=lambda item: item.path not in slow)


def small_onnx(fitted: object, schema: Schema = SCHEMA) -> bytes:
    from iris_nb.train.onnx_export import to_onnx

    return to_onnx(fitted, schema)


def bundle_maker(schema: Schema, rows: pd.DataFrame) -> MakeBundle:
    "Return what writes a bundle of a real model below a root; another `strength` makes it answer differently."
    X, y = arrays(rows, schema)
    encoder = encoder_for(schema.features, "one_hot", fill=True)

    def make(root: Path, version: str = "1", strength: float = 1.0, name: str = f"{schema.name}_test") -> Path:
        steps = [*([encoder] if encoder else []), StandardScaler(), LogisticRegression(C=strength)]
        fitted = make_pipeline(*map(clone, steps)).fit(X, y)
        P = fitted.predict_proba(X)
        labels = [schema.classes[i] for i in y]
        scores = 1 - P[np.arange(len(y)), y]
        card = Card(name, version, "2026-01-01T00:00:00+00:00", schema, description="A model for tests.")
        return write_bundle(root, card, small_onnx(fitted, schema), (X[::10], P[::10]), (X, labels), scores)

    return make


@pytest.fixture(scope="session")
def make_bundle() -> MakeBundle:
    "Writes bundles about the declared table."
    return bundle_maker(SCHEMA, load_rows())


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory, make_bundle: MakeBundle) -> Path:
    "A bundles root with two versions, the first of them champion. Not to be changed: copy it for that."
    root = tmp_path_factory.mktemp("bundles")
    point_champion(root, make_bundle(root).name)
    make_bundle(root, version="2", strength=0.01)
    return root


@pytest.fixture
def champion_home(tmp_path: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    "A home folder with a champion, which `IRIS_HOME` names."
    shutil.copytree(bundles, tmp_path / "home" / "bundles")
    monkeypatch.setenv("IRIS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("IRIS_DATABASE_URL", raising=False)
    return tmp_path / "home"
