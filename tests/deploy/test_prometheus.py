"""Prometheus: its rules do what rules_test.yml says, and every series that a rule or a panel names exists."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
import yaml

from iris_nb.monitor.report import Estimate, Report, Verdict
from iris_nb.table import SCHEMA
from tests.conftest import MakeBundle
from tests.running import free_port, running
from tests.serve.live import Live
from tests.waiting import wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
TESTS = sorted(RULES.parent.glob("*_test.yml"))
PANELS = json.loads((DEPLOY / "grafana" / "dashboards" / "iris.json").read_text())["panels"]
#: A name in an expression that is a series, and no function, keyword or label.
SERIES = re.compile(r"\b(?:iris[:_][a-z0-9_:]+|process_[a-z_]+|up)\b(?!\s*=)")


def rules() -> list[dict[str, str]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def expressions() -> dict[str, str]:
    "Every expression of a rule or a panel, by where it stands."
    found = {rule.get("record") or rule["alert"]: rule["expr"] for rule in rules()}
    return found | {
        f"{panel['title']}: {target['legendFormat']}": target["expr"] for panel in PANELS for target in panel["targets"]
    }


def promtool(need: Callable[[str], str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [need("promtool"), *arguments]
    return subprocess.run(command, cwd=DEPLOY / "prometheus", capture_output=True, text=True)


def test_the_configuration_and_its_rules_are_right(need):
    done = promtool(need, "check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_fire_when_they_should_and_are_quiet_otherwise(need):
    done = promtool(need, "test", "rules", *(path.name for path in TESTS))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_that_is_wrong_is_found(need, tmp_path):
    "The check itself can fail."
    text = RULES.read_text()
    (tmp_path / "rules.yml").write_text(text.replace("iris_queue_rows > 25000", "iris_queue_rows > 50000"))
    (tmp_path / "rules_test.yml").write_text((RULES.parent / "rules_test.yml").read_text())
    done = subprocess.run([need("promtool"), "test", "rules", str(tmp_path / "rules_test.yml")], capture_output=True)
    assert done.returncode != 0


def test_the_sentence_about_the_queue_knows_its_length():
    from serve.settings import Settings

    [rule] = [rule for rule in rules() if rule.get("alert") == "IrisQueue"]
    assert f"IRIS_QUEUE ({Settings().queue:,})" in rule["annotations"]["summary"]
    assert rule["expr"] == f"iris_queue_rows > {Settings().queue // 2}"


def test_every_alert_is_tried_firing_and_quiet():
    tests = [test for path in TESTS for test in yaml.safe_load(path.read_text())["tests"]]
    tried = [case for test in tests for case in test.get("alert_rule_test", [])]
    for rule in rules():
        if name := rule.get("alert"):
            cases = [bool(case["exp_alerts"]) for case in tried if case["alertname"] == name]
            assert set(cases) == {True, False}, name


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, make_bundle: MakeBundle) -> Iterator[Live]:
    "A running service that has answered, refused a row and shown its history."
    from iris_nb.bundle import point_champion

    home = tmp_path_factory.mktemp("home")
    root = home / "bundles"
    root.mkdir()
    point_champion(root, make_bundle(root).name)
    good = [Verdict(name, "good", "As in training.", p_value=0.5) for name in SCHEMA.names]
    accuracy = Estimate(0.96, 0.93, 0.98, 200)
    report = Report(time.time(), "24h", 200, good, "good", "As in training.", accuracy)
    (home / "watch.json").write_bytes(msgspec.json.encode(report))
    with Live(home, {}) as live:
        yield live


@pytest.fixture(scope="module")
def query(need, service: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], list[dict]]]:
    "Asks a Prometheus that scrapes the service with the real rules, every second instead of every ten."
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{service.port}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / "rules.yml").write_text(RULES.read_text())
    command = [need("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    url = f"http://127.0.0.1:{port}"

    def ask(expression: str) -> list[dict]:
        answer = httpx.get(f"{url}/api/v1/query", params={"query": expression}, timeout=10)
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        return answer.json()["data"]["result"]

    def seen() -> bool:
        "Rates need traffic between two scrapes; the history was asked for last."
        httpx.post(f"{service.url}/predict", json=SCHEMA.example)
        httpx.post(f"{service.url}/predict", json={})
        httpx.get(f"{service.url}/predictions/history")
        return bool(ask('iris:requests:rate5m{path="/predictions/history"} > 0'))

    with running(command, f"{url}/-/ready", folder / "said"):
        wait_until(seen, "Prometheus has seen the traffic", 60)
        yield ask


@pytest.mark.parametrize("name", sorted({name for text in expressions().values() for name in SERIES.findall(text)}))
def test_a_series_that_is_named_somewhere_exists(query, name):
    wait_until(lambda: query(name), f"{name} has a value", 20)


#: What has no value while all is well, and compares with a time before this service was started.
QUIET = {rule["alert"] for rule in rules() if "alert" in rule}


@pytest.mark.parametrize("name", sorted(set(expressions()) - QUIET))
def test_what_is_recorded_or_drawn_has_a_value(query, name):
    wait_until(lambda: query(expressions()[name]), f"{name} has a value", 20)


def test_a_service_in_good_health_alarms_nobody(query):
    wait_until(lambda: query("iris:errors:ratio5m"), "the rules were evaluated", 20)
    assert query('ALERTS{alertstate="firing"}') == []


def test_a_name_that_nobody_exports_would_be_found(query):
    assert query("iris_nothing_of_that_name") == []


def test_every_panel_says_its_unit_and_asks_the_source_that_is_provisioned():
    [source] = yaml.safe_load((DEPLOY / "grafana" / "datasource.yaml").read_text())["datasources"]
    for panel in PANELS:
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == source["uid"]
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_no_two_panels_share_a_place():
    taken = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
