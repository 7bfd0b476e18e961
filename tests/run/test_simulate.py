"""Synthetic traffic: what is sent, and what is said where it can't be."""

import numpy as np
import pytest
from click.testing import CliRunner

from iris_nb.bundle import champion, read_bundle
from iris_nb.cli import cli
from iris_nb.lookup.table import FeatureTable, Record
from iris_nb.monitor.distances import ks
from iris_nb.request import request_schema
from iris_nb.run.simulate import Scenario, SimulateError, _asked, _corrupt, _keys, generate_rows
from iris_nb.schema import Number, Schema, faults_of
from iris_nb.table import SCHEMA
from tests.lookup.worlds import LOANS


def run(*words: str):
    return CliRunner().invoke(cli, ["simulate", *words])


def test_a_scenario_without_drift_stays_near_the_training_sample(champion_home):
    X, labels = read_bundle(champion(champion_home / "bundles")).reference
    rows, true = generate_rows(Scenario(requests=200), X, labels, SCHEMA)
    away = np.abs(np.nanmean(rows, axis=0) - np.nanmean(X, axis=0))
    assert (away < 0.5 * np.nanstd(X, axis=0)).all()
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


def test_a_row_is_sent_with_a_key_that_the_feature_table_knows(tmp_path):
    with FeatureTable(tmp_path / "features.db", writable=True) as table:
        table.put("customers", [Record(key, 0, 0, {"income": 1}) for key in ("c1", "c2")])
        table.put("districts", [Record("north", 0, 0, {"price per m²": 1})])
    keys = _keys(LOANS, tmp_path / "features.db")
    rng, asked = np.random.default_rng(0), request_schema(LOANS)
    rows = [_asked(LOANS.example, LOANS, keys, rng) for _ in range(50)]
    assert {row["customer_id"] for row in rows} == {"c1", "c2"}
    assert not [fault for row in rows for fault in faults_of(asked, row)]
    assert all(faults_of(asked, _corrupt(row, asked, rng)) for row in rows)


def test_keys_that_nothing_has_are_asked_for_by_the_command_that_puts_them(tmp_path):
    with FeatureTable(tmp_path / "features.db", writable=True):
        pass
    with pytest.raises(SimulateError, match="no keys of customers: `iris-nb features put`"):
        _keys(LOANS, tmp_path / "features.db")


def test_without_lookups_no_feature_table_is_needed(tmp_path):
    assert _keys(SCHEMA, tmp_path / "none.db") == {}


def test_a_quantity_whose_values_repeat_keeps_its_distribution():
    passengers = Schema("fares", "passenger", (Number("fare", "pound", 0, 600, "Fare.", 7.8958),), "kind", ("a", "b"))
    rng = np.random.default_rng(0)
    fares = np.concatenate([np.repeat([7.2292, 7.8958, 8.05, 13.0, 26.55], 120), rng.lognormal(3.5, 1, 300).round(4)])
    trained = fares.clip(0, 600)[:, None]
    X, _ = generate_rows(Scenario(requests=3000), trained, ["a"] * len(trained), passengers)
    assert ks(trained[:, 0], X[:, 0]) < 0.05
    assert np.isin(X, trained).all()
