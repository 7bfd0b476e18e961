"""The compose file: valid, closed, limited, and every part of it can say how it is."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = {"serve-a", "serve-b", "dashboard", "mlflow", "train", "watch"}
each = pytest.mark.parametrize("name", SERVICES)


def test_it_has_the_shape_of_a_compose_file(need: Callable[[str], str]):
    command = [need("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@each
def test_a_service_is_limited_and_gains_no_privileges(name):
    service = SERVICES[name]
    limits = service["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} <= set(limits)
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", sorted(OURS))
def test_what_is_ours_writes_nowhere_but_to_its_volumes(name):
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    for mount in SERVICES[name].get("volumes", []):
        assert mount.split(":")[1].startswith("/var/lib/iris")


@each
def test_a_server_says_how_it_is(name):
    "Ours do it in their images; the watch serves nobody, and an alert says when it stops."
    assert "healthcheck" in SERVICES[name] or name in {"serve-a", "serve-b", "dashboard", "train", "watch"}


@each
def test_what_it_names_is_declared(name):
    service = SERVICES[name]
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    assert set(service.get("networks", [])) <= set(COMPOSE["networks"])
    assert set(service.get("depends_on", [])) <= set(SERVICES)
    for mount in service.get("volumes", []):
        source = mount.split(":")[0]
        assert source in COMPOSE["volumes"] or (DEPLOY / source).exists()


@each
def test_an_image_of_others_has_a_version(name):
    image = SERVICES[name]["image"]
    assert image.startswith("${IRIS_REGISTRY:-iris}/") or image.rsplit(":", 1)[1] not in ("latest", "")


def test_only_the_proxy_may_be_reached_from_elsewhere_and_only_where_that_is_said():
    published = {name: port for name, service in SERVICES.items() for port in service.get("ports", [])}
    assert published.pop("proxy").startswith("${IRIS_PUBLISH:-127.0.0.1:")
    assert all(port.startswith("127.0.0.1:") for port in published.values())
    assert COMPOSE["networks"]["back"]["internal"] is True


def test_only_the_proxy_may_call_the_world():
    ways_out = {name for name, network in COMPOSE["networks"].items() if not closed(network)}
    assert {name for name, service in SERVICES.items() if ways_out & set(service["networks"])} == {"proxy"}


def closed(network: dict[str, Any] | None) -> bool:
    "Whether nothing gets out of it and back: Docker neither forwards nor translates addresses."
    options = (network or {}).get("driver_opts", {})
    return (network or {}).get("internal") is True or options == {
        "com.docker.network.bridge.enable_ip_masquerade": "false"
    }


def test_no_secret_stands_in_the_file():
    assert all(set(source) == {"file"} for source in COMPOSE["secrets"].values())
    assert not [
        key for s in SERVICES.values() for key in s.get("environment", {}) if key.endswith(("PASSWORD", "KEY", "TOKEN"))
    ]


def test_the_replicas_are_the_same_and_are_all_proxied_and_scraped():
    replicas = [name for name in SERVICES if name.startswith("serve-")]
    assert len(replicas) == 2
    assert SERVICES["serve-a"] == SERVICES["serve-b"]
    assert SERVICES["proxy"]["environment"]["IRIS_REPLICAS"].split() == [f"{name}:8000" for name in replicas]
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert scraped[0]["static_configs"][0]["targets"] == [f"{name}:8000" for name in replicas]
