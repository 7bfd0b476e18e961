"""with-secrets: a secret reaches its program, or the program does not start."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
Start = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    return tmp_path / "secrets"


@pytest.fixture
def start(tmp_path: Path, secrets: Path) -> Start:
    "Start a program that prints its environment, with another folder of secrets."
    program = tmp_path / "with-secrets"
    program.write_text((DEPLOY / "image" / "with-secrets").read_text().replace("/run/secrets", str(secrets)))

    def start(**environ: str) -> subprocess.CompletedProcess[str]:
        given = {"PATH": os.environ["PATH"], **environ}
        return subprocess.run(["sh", str(program), "env"], env=given, capture_output=True, text=True)

    return start


def assert_stopped(done: subprocess.CompletedProcess[str], name: str) -> None:
    assert done.returncode == 78
    assert done.stdout == ""
    [sentence] = done.stderr.splitlines()
    assert sentence.startswith("with-secrets: the secret ")
    assert name in sentence


def test_every_secret_becomes_a_variable(start, secrets):
    (secrets / "IRIS_API_KEYS").write_text("a:1 2\n")
    (secrets / "postgres_password").write_text("not for us")
    said = start(IRIS_REQUIRED="IRIS_API_KEYS IRIS_URL", IRIS_URL="x").stdout.splitlines()
    assert "IRIS_API_KEYS=a:1 2" in said
    assert not [line for line in said if "not for us" in line or "REQUIRED" in line]


def test_a_program_without_secrets_starts(start):
    assert start().returncode == 0


@pytest.mark.parametrize("content", ["", "\n", " \t\n"])
def test_an_empty_secret_stops_the_start(start, secrets, content):
    (secrets / "IRIS_API_KEYS").write_text(content)
    assert_stopped(start(), "IRIS_API_KEYS")


def test_a_folder_in_place_of_a_secret_stops_the_start(start, secrets):
    "An engine makes one where the file to mount is missing."
    (secrets / "IRIS_API_KEYS").mkdir()
    assert_stopped(start(), "IRIS_API_KEYS")


def test_a_link_that_leads_nowhere_stops_the_start(start, secrets):
    (secrets / "IRIS_API_KEYS").symlink_to(secrets / "gone")
    assert_stopped(start(), "IRIS_API_KEYS")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_secret_of_another_user_stops_the_start(start, secrets):
    (secrets / "IRIS_API_KEYS").write_text("a:1")
    (secrets / "IRIS_API_KEYS").chmod(0)
    assert_stopped(start(), "IRIS_API_KEYS")


@pytest.mark.parametrize("environ", [{}, {"IRIS_DASHBOARD_TOKEN": ""}, {"IRIS_DASHBOARD_TOKEN": " "}])
def test_a_required_secret_that_is_nowhere_stops_the_start(start, environ):
    assert_stopped(start(IRIS_REQUIRED="IRIS_DASHBOARD_TOKEN", **environ), "IRIS_DASHBOARD_TOKEN")


def test_what_compose_and_the_manifests_give_a_program_is_required_there():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for name, service in compose.items():
        ours = [secret for secret in service.get("secrets", []) if secret.startswith("IRIS_")]
        assert service.get("environment", {}).get("IRIS_REQUIRED", "").split() == ours, name
    for path in sorted((DEPLOY / "kubernetes" / "base").glob("*.yaml")):
        for one in yaml.safe_load_all(path.read_text()):
            spec = one.get("spec", {}).get("jobTemplate", one).get("spec", {}).get("template", {}).get("spec", {})
            for container in spec.get("containers", []):
                env = {variable["name"]: variable for variable in container["env"]}
                ours = [variable for variable in env if "valueFrom" in env[variable]]
                assert env["IRIS_REQUIRED"]["value"].split() == ours, path.name
