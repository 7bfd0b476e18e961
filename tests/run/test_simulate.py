"""Synthetic traffic: what is sent, and what is said where it can't be."""

import numpy as np
import pytest
from click.testing import CliRunner

from iris_nb.bundle import champion, read_bundle
from iris_nb.cli import cli
from iris_nb.run.simulate import Scenario, generate_rows
from iris_nb.schema import Number, Schema
from iris_nb.table import SCHEMA


def run(*words: str):
    return CliRunner().invoke(cli, ["simulate", *words])


def test_a_scenario_without_drift_stays_near_the_training_sample(champion_home):
    X, labels = read_bundle(champion(champion_home / "bundles")).reference
    rows, true = generate_rows(Scenario(requests=200), X, labels, SCHEMA)
    assert (np.abs(rows.mean(axis=0) - X.mean(axis=0)) < 0.5 * X.std(axis=0)).all()
    assert set(true) == set(SCHEMA.classes)


def test_the_past_is_written_once_and_only_into_an_empty_log(champion_home):
    first = run("--past", "5", "--rate", "0.1", "--drift", "any", "1.5")
    assert "rows of the last 5 minutes" in first.output
    assert "has rows already" in run("--past", "5").output


def test_traffic_needs_a_service(champion_home):
    done = run("--seconds", "0.1", "--url", "http://127.0.0.1:1")
    assert (done.exit_code, "Nothing answers" in done.output) == (1, True)


def test_traffic_needs_a_champion(champion_home):
    (champion_home / "bundles" / "champion.json").unlink()
    assert "no champion" in run("--seconds", "0.1").output


def test_an_address_that_is_none_is_refused_before_anything_is_sent(champion_home):
    assert "is no address of a service" in run("--url", "localhost:8000").output


def test_a_feature_of_small_numbers_keeps_its_digits():
    dust = Schema("dust", "grain", (Number("width", "m", 0, 1, "Width.", 0.00002),), "kind", ("sand", "clay"))
    trained = np.random.default_rng(0).uniform(0.00001, 0.00009, (200, 1))
    X, _ = generate_rows(Scenario(requests=200), trained, ["sand"] * 200, dust)
    assert len(np.unique(X)) > 150
    assert X.std() == pytest.approx(trained.std(), rel=0.2)
