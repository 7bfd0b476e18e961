"""Each table from its file to its scored file: declared, trained, served, logged, labelled, watched, explained."""

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pytest
from playwright.sync_api import expect

from iris_nb.bundle import Card, champion
from iris_nb.files.frame import read_rows
from iris_nb.predict.explain import contributions, counterfactual, counterfactual_sentence
from iris_nb.predict.predictor import Predictor
from iris_nb.schema import Kind, Schema, decode_row
from iris_nb.train.data import arrays
from tests.another_table import copy_files, environment
from tests.browsing import watching
from tests.dashboard.conftest import whole
from tests.running import free_port, running
from tests.tables.worlds import WORLDS, World, add_costs

pytestmark = pytest.mark.slow
LONG = bool(os.environ.get("IRIS_LONG_TESTS"))
QUICK = ("penguins", "made")  # the others take minutes together
ROWS = 200  # that are sent and scored
#: A hundredth of the usual effort: one candidate, a few folds.
BUDGET = ["candidates=logistic_regression lda", "splits=5", "repeats=1", "coverage_splits=0", "jobs=1"]


@dataclass
class Life:
    "A project about one table: a copy of this one in which `declare` wrote the table's lesson."

    world: World
    root: Path  # of the copy
    file: Path
    said: dict[str, str]  # what each command printed

    @property
    def home(self) -> Path:
        return self.root / "var"

    def environ(self, **settings: str) -> dict[str, str]:
        return {**environment(self.root), "IRIS_HOME": str(self.home), **settings}

    def call(self, *words: str, code: int = 0, **settings: str) -> str:
        "Run `iris-nb` in the copy, and return what it printed."
        program = Path(sys.executable).parent / "iris-nb"
        done = subprocess.run(
            [program, *words], cwd=self.root, env=self.environ(**settings), capture_output=True, text=True, timeout=300
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, f"iris-nb {' '.join(words)} ended with {done.returncode}:\n{said[-3000:]}"
        assert "Traceback" not in said, said
        return said

    def predictor(self) -> Predictor:
        folder = champion(self.home / "bundles")
        assert folder
        return Predictor.load(folder, self.schema())

    def schema(self) -> Schema:
        folder = champion(self.home / "bundles")
        assert folder, self.said["train"]
        return msgspec.json.decode((folder / "card.json").read_bytes(), type=Card).schema

    def rows(self) -> list[dict[str, object]]:
        "Return some rows of the file, evenly chosen, as JSON has them; gaps are null or left out in turns."
        schema = self.schema()
        X, _ = arrays(read_rows(self.file, schema), schema)
        chosen = np.linspace(0, len(X) - 1, min(ROWS, len(X))).astype(int)  # a file may be sorted by class
        rows = [decode_row(schema, x) for x in X[chosen]]
        return [{k: v for k, v in row.items() if v is not None} if i % 2 else row for i, row in enumerate(rows)]


@pytest.fixture(scope="module", params=[
    pytest.param(name, marks=[] if name in QUICK else [
        pytest.mark.long, pytest.mark.skipif(not LONG, reason="under `make test-long`")
    ]) for name in WORLDS
])  # fmt: skip
def life(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Life:
    "The project after `declare` and `train`."
    world = WORLDS[request.param]
    root = copy_files(tmp_path_factory.mktemp(world.name) / "project")
    file = world.write(root)
    life = Life(world, root, file, {})
    life.said["declare"] = life.call("declare", str(file), "--target", world.target, "--row", world.row, "--force")
    if world.costs:
        add_costs(root / "nbs/api/01_table.ipynb", world.costs)
        subprocess.run(["nbdev-export"], cwd=root, env=environment(root), check=True, timeout=60)
    life.said["train"] = life.call("train", *[word for p in BUDGET for word in ("-p", *p.split("="))])
    return life


@pytest.fixture(scope="module")
def url(life: Life) -> Iterator[str]:
    "The service about the table."
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environ = life.environ(IRIS_PORT=str(port))
    with running([sys.executable, "-m", "serve"], f"{address}/health", life.root / "service", environ, life.root):
        yield address


@pytest.fixture(scope="module")
def answers(life: Life, url: str) -> dict[str, list[object]]:
    "What the service says about a sample of the table."
    reply = httpx.post(f"{url}/predict/batch", json={"samples": life.rows()}, timeout=60)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.fixture(scope="module")
def labelled(url: str, answers: dict[str, list[object]]) -> list[object]:
    "The ids of five of those answers, to which the true class was sent."
    ids, labels = answers["prediction_ids"][:5], answers["predictions"]
    for id, label in zip(ids, labels, strict=False):
        reply = httpx.post(f"{url}/predictions/{id}/label", json={"label": label}, timeout=60)
        assert reply.status_code in (200, 201, 204), reply.text
    return ids


def test_what_declare_proposes_is_fit_to_train_on(life):
    assert "iris-nb train" in life.said["declare"]
    assert life.schema().row == life.world.row


def test_the_service_answers_as_the_bundle_does(life, answers):
    predictor = life.predictor()
    X = np.array([[f.encode(row.get(f.name)) for f in predictor.schema.features] for row in life.rows()])
    P = predictor.probabilities(X)
    np.testing.assert_allclose(answers["probabilities"], P, atol=1e-9)
    assert answers["predictions"] == predictor.labels(P)
    assert answers.get("decisions") == predictor.decisions(P)


def test_the_log_holds_the_rows_and_takes_their_classes(life, url, answers, labelled):
    ids = answers["prediction_ids"]
    page = httpx.get(f"{url}/predictions/history", params={"limit": 500}, timeout=60).json()
    kept = {item["id"]: item for item in page["predictions"]}
    names = life.schema().names
    for id, row in zip(ids, life.rows(), strict=True):
        assert kept[id]["features"] == {name: row.get(name) for name in names}
    assert sum(item["true_label"] is not None for item in kept.values()) == len(labelled)


def test_wrong_rows_are_refused_with_a_sentence_for_each_fault(life, url):
    schema, row = life.schema(), life.rows()[0]
    wrong = {**row, **{f.name: {"not": "a value"} for f in schema.features}, "unheard_of": 1}
    reply = httpx.post(f"{url}/predict", json=wrong, timeout=60)
    assert reply.status_code == 400
    assert len(reply.json()["errors"]) == len(schema.features) + 1


@pytest.mark.usefixtures("answers")
def test_the_watch_raises_no_alarm_about_rows_of_the_table(life):
    assert "  good   Taken together" in life.call("watch", "--window", "24h")


def test_the_watch_raises_an_alarm_where_a_feature_drifts(life, tmp_path):
    log = f"sqlite:///{tmp_path / 'log.db'}"
    drift = ["--drift", life.world.drifting, "3", "--onset", "0"]
    life.call("simulate", "--past", "60", "--rate", "0.1", *drift, IRIS_DATABASE_URL=log)
    said = life.call("watch", "--window", "24h", code=1, IRIS_DATABASE_URL=log)
    alarms = [line.lower() for line in said.splitlines() if line.startswith("  alarm")]
    assert any(life.world.drifting.replace("_", " ") in line for line in alarms)


def test_answers_are_explained_with_values_of_the_table(life):
    predictor = life.predictor()
    schema, trained = predictor.schema, predictor.bundle.reference[0]
    for row in trained[:: len(trained) // 5][:5]:
        speaks = contributions(predictor.probabilities, trained, row, schema)
        assert set(speaks.terms) == set(schema.names)
        change = counterfactual(predictor.probabilities, trained, row, schema)
        if change:
            feature = schema.features[schema.names.index(change.feature)]
            assert feature.accepts(change.value)
            assert not feature.fixed
        assert counterfactual_sentence(change, decode_row(schema, row), schema)


def test_a_file_is_scored_as_the_service_answers(life, tmp_path):
    said = life.call("score", str(life.file), "-o", str(tmp_path / "answers.csv"), "--quiet")
    predictor = life.predictor()
    X, _ = arrays(read_rows(life.file, predictor.schema), predictor.schema)
    with (tmp_path / "answers.csv").open(encoding="utf-8", newline="") as text:
        lines = list(csv.DictReader(text))
    assert len(lines) == len(X), said
    assert [line["predicted"] for line in lines] == predictor.labels(predictor.probabilities(X))


@pytest.fixture(scope="module")
def page(life: Life, url: str, labelled: list[object], browser, dashboard) -> Iterator[object]:
    "The dashboard about the table, opened once: the tests below go down the page."
    assert labelled
    with dashboard(life.home, life.root, IRIS_URL=url) as address, watching(browser) as open_:
        yield whole(open_)(address)


def move(knob, kind: Kind) -> None:
    "Choose another value of a feature, as people do."
    if kind.control == "dropdown":
        knob.locator("select").select_option(index=len(kind.levels) - 1)
    elif kind.control == "checkbox":
        knob.locator("input").first.click()
    elif kind.control == "date":
        knob.locator("input").first.fill(str(kind.decode(kind.bounds[0])))
    else:
        knob.locator(".noUi-handle").press("Home")


@pytest.mark.browser
def test_the_page_is_filled(life, page):
    expect(page.locator(".lights a, .light")).to_have_count(4)
    assert "could not be drawn" not in page.inner_text("body")
    expect(page.locator(".verdicts > li").first).to_be_visible()
    assert page.locator(".verdicts > li").count() <= 10  # a wide table has one sentence for what is quiet
    expect(page.locator("[aria-label='Distances from the training sample']")).to_have_count(1)  # unfolded or not
    expect(page.locator(".panel:has(#quality) .js-plotly-plot")).to_have_count(3)
    for feature in life.schema().features:
        assert feature.label in page.inner_text(".sliders")


@pytest.mark.browser
def test_each_kind_of_control_asks_the_champion(life, page):
    features, knobs = life.schema().features, page.locator(".sliders > *")
    expect(knobs).to_have_count(len(features))
    part = page.locator(".panel:has(#try)")
    tried = {(f.control, f.missing): i for i, f in enumerate(features)}
    for i in tried.values():
        move(knobs.nth(i), features[i])
        expect(part.locator(".finding")).to_contain_text("with a probability of")
        expect(part.locator(".note.warn")).to_have_count(0)


@pytest.mark.browser
def test_what_may_be_missing_has_a_box_that_says_so(life, page):
    features, knobs = life.schema().features, page.locator(".sliders > *")
    expect(page.locator(".sliders .gap")).to_have_count(sum(f.missing for f in features))
    for i in {f.control: i for i, f in enumerate(features) if f.missing}.values():
        box = knobs.nth(i).locator(".gap input")
        box.check()
        disabled = knobs.nth(i).locator("[disabled], [aria-disabled=true], .noUi-target[disabled]")
        expect(disabled.first).to_be_attached()
        box.uncheck()
    expect(page.locator(".panel:has(#try) .finding")).to_contain_text("with a probability of")


@pytest.mark.browser
def test_a_prediction_is_explained(life, page):
    page.locator("a[data-row]").first.click()
    expect(page.locator("p.flip")).to_be_visible()
    expect(page.get_by_text("spoke most strongly")).to_be_visible()
    expect(page.get_by_role("region", name=f"The most similar {life.world.row}s in training")).to_be_visible()


@pytest.mark.browser
def test_on_a_telephone_nothing_is_wider_than_the_window(page):
    page.set_viewport_size({"width": 390, "height": 900})
    page.wait_for_function("document.documentElement.scrollWidth <= 390")
