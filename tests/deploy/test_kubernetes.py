"""The manifests: what kustomize makes of them is valid, closed, and fits the service as it is.

Not checked here: admission by a real cluster, and whether its metrics adapter serves iris_queue_rows.
"""

import re
import subprocess
import sys
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from serve.settings import Settings

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
VERSIONS = ("1.31", "1.34", "1.37")


@pytest.fixture(scope="module", params=OVERLAYS)
def objects(request, need) -> list[dict[str, Any]]:
    "Everything that an overlay makes."
    command = [need("kubectl"), "kustomize", str(KUBERNETES / "overlays" / request.param)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {o["metadata"]["name"]: o for o in objects if o["kind"] == kind}


def pods(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    jobs = [o["spec"]["jobTemplate"] for o in of_kind(objects, "CronJob").values()]
    return [o["spec"]["template"]["spec"] for o in [*of_kind(objects, "Deployment").values(), *jobs]]


def containers(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [c for pod in pods(objects) for c in [*pod["initContainers"], *pod["containers"]]]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_fits_the_schema_of_its_kind(objects, version):
    for one in objects:
        kubernetes_validate.validate(one, version, strict=True)


def test_a_field_that_does_not_exist_is_found(objects):
    "The check itself can fail."
    wrong = next(iter(of_kind(objects, "Deployment").values())) | {"spce": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_the_namespace_demands_the_restricted_standard_and_every_container_keeps_it(objects):
    [namespace] = of_kind(objects, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod in pods(objects):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
    for container in containers(objects):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}


def test_everything_runs_as_the_user_of_the_images(objects):
    [user] = re.findall(r"^USER (\d+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {pod["securityContext"]["runAsUser"] for pod in pods(objects)} == {int(user)}


def test_everything_is_limited_and_everything_long_lived_is_probed(objects):
    for container in containers(objects):
        assert {"cpu", "memory"} == set(container["resources"]["limits"]) == set(container["resources"]["requests"])
    for deployment in of_kind(objects, "Deployment").values():
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


def test_no_link_of_a_service_can_pass_for_a_setting(objects):
    "Kubernetes would set IRIS_DASHBOARD_PORT=tcp://… for the Service iris-dashboard."
    assert all(pod["enableServiceLinks"] is False for pod in pods(objects))


def test_selectors_and_references_meet(objects):
    labels = [o["spec"]["template"]["metadata"]["labels"] for o in of_kind(objects, "Deployment").values()]
    named = {(kind, name) for kind in ("ConfigMap", "ServiceAccount") for name in of_kind(objects, kind)}
    for kind in ("Service", "PodDisruptionBudget"):
        for one in of_kind(objects, kind).values():
            selector = one["spec"]["selector"]
            selector = selector.get("matchLabels", selector)
            assert any(selector.items() <= found.items() for found in labels), one["metadata"]["name"]
    for container in containers(objects):
        for source in container["envFrom"]:
            assert ("ConfigMap", source["configMapRef"]["name"]) in named
    assert all(("ServiceAccount", pod["serviceAccountName"]) in named for pod in pods(objects))
    for scaler in of_kind(objects, "HorizontalPodAutoscaler").values():
        assert scaler["spec"]["scaleTargetRef"]["name"] in of_kind(objects, "Deployment")


def test_configuration_holds_settings_only_and_secrets_come_from_a_secret(objects):
    known = {f"IRIS_{field.name.upper()}" for field in fields(Settings)} | {"MLFLOW_TRACKING_URI"}
    [config] = of_kind(objects, "ConfigMap").values()
    assert set(config["data"]) <= known
    assert not of_kind(objects, "Secret"), "secrets are made in the cluster"
    example = (KUBERNETES / "secrets.example.env").read_text()
    for container in containers(objects):
        for variable in container.get("env", []):
            if "valueFrom" in variable:
                wanted = variable["valueFrom"]["secretKeyRef"]
                assert wanted["name"] == "iris-secrets"
                assert f"{wanted['key']}=" in example


def test_it_scales_on_what_the_service_measures(objects):
    [scaler] = of_kind(objects, "HorizontalPodAutoscaler").values()
    metrics = [m["pods"]["metric"]["name"] for m in scaler["spec"]["metrics"] if m["type"] == "Pods"]
    exported = (ROOT / "serve" / "metrics.py").read_text()
    assert metrics
    assert all(f'"{name}"' in exported for name in metrics)


def test_a_node_can_be_emptied_and_the_service_goes_on(objects):
    [budget] = of_kind(objects, "PodDisruptionBudget").values()
    assert budget["spec"]["maxUnavailable"] == 1
    assert of_kind(objects, "Deployment")["iris-serve"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_nothing_may_be_reached_that_is_not_named(objects):
    policies = of_kind(objects, "NetworkPolicy")
    closed = policies.pop("iris-closed")
    assert set(closed["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in closed["spec"]
    for policy in policies.values():
        rules = [*policy["spec"].get("ingress", []), *policy["spec"]["egress"]]
        assert all(rule["ports"] for rule in rules), "no rule opens every port"
        assert all(rule.get("to") for rule in policy["spec"]["egress"]), "no rule leads anywhere at all"


def test_nothing_leaves_for_the_internet(objects):
    "What may be reached is chosen by labels, or has a private address."
    for policy in of_kind(objects, "NetworkPolicy").values():
        for place in (place for rule in policy["spec"]["egress"] for place in rule["to"]):
            if "ipBlock" in place:
                assert ip_network(place["ipBlock"]["cidr"]).is_private
            else:
                assert any(selector["matchLabels"] for selector in place.values())


def test_the_registry_that_the_settings_name_may_be_reached(objects):
    [config] = of_kind(objects, "ConfigMap").values()
    [(namespace, port)] = re.findall(r"^http://\w+\.([\w-]+)\.svc:(\d+)$", config["data"]["MLFLOW_TRACKING_URI"])
    policies = of_kind(objects, "NetworkPolicy")
    for name in ("iris-serve", "iris-dashboard", "iris-watch"):
        [rule] = [r for r in policies[name]["spec"]["egress"] if r["ports"] == [{"protocol": "TCP", "port": int(port)}]]
        assert rule["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}]


def test_the_example_of_the_secrets_names_a_command_that_makes_a_key():
    [command] = re.findall(r"`(.+) NAME` prints", (KUBERNETES / "secrets.example.env").read_text())
    program, *words = command.split()
    done = subprocess.run([Path(sys.executable).parent / program, *words, "smoke"], capture_output=True, text=True)
    assert done.returncode == 0
    assert re.search(r"\bsmoke:[0-9a-f]{64}\b", done.stdout)


def test_the_bundle_comes_from_the_registry_before_the_service_starts(objects):
    pod = of_kind(objects, "Deployment")["iris-serve"]["spec"]["template"]["spec"]
    first, sidecar = pod["initContainers"]
    assert first["args"] == ["fetch-bundle"]
    assert sidecar["restartPolicy"] == "Always"
    mounts = [c["volumeMounts"] for c in (first, sidecar, *pod["containers"])]
    assert mounts[0] == mounts[1] == mounts[2]
