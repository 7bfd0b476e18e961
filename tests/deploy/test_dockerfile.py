"""The Dockerfile, as far as it can be judged without building it."""

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()


def stages() -> dict[str, str]:
    "The text of each named stage."
    return {m[1]: m[0] for m in re.finditer(r"^FROM \S+ AS (\S+)$.*?(?=^FROM |\Z)", TEXT, re.MULTILINE | re.DOTALL)}


def test_the_linter_finds_nothing(need: Callable[[str], str]):
    done = subprocess.run([need("hadolint"), "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_image_has_an_unprivileged_user_and_becomes_its_program():
    base = stages()["base"]
    assert "USER 10001:10001" in base
    assert 'ENTRYPOINT ["with-secrets"]' in base
    assert not re.search(r"^(CMD|ENTRYPOINT|HEALTHCHECK.*CMD) +[^\[]", TEXT, re.MULTILINE), (
        "a shell would catch signals"
    )


def test_the_servers_say_how_they_are():
    assert all("HEALTHCHECK" in stages()[target] for target in ("serve", "dashboard"))


def test_the_page_does_not_open_itself_to_the_network_without_a_token():
    [command] = re.findall(r"^CMD (.+)$", stages()["dashboard"], re.MULTILINE)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("IRIS_")}
    environ |= dict(re.findall(r"(IRIS_DASHBOARD_\w+)=(\S+)", stages()["dashboard"]))
    python, *arguments = json.loads(command)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60
    )
    assert python == "python"
    assert done.returncode == 1
    assert "IRIS_DASHBOARD_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_image_that_is_deployed_is_made_and_published():
    "In compose.yaml, in the manifests, by rollout.sh and by the workflow."
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    cluster = (ROOT / "deploy" / "kubernetes" / "base" / "kustomization.yaml").read_text()
    [rolled] = re.findall(r"for image in ([\w ]+); do", (ROOT / "deploy" / "rollout.sh").read_text())
    [published] = re.findall(r"target: \[(.+)\]", (ROOT / ".github" / "workflows" / "image.yml").read_text())
    here = set(re.findall(r"image: \$\{IRIS_REGISTRY:-iris\}/(\w+):", compose))
    there = set(re.findall(r"- name: (\w+)\n    newName", cluster))
    assert there == set(rolled.split()) <= here <= set(published.split(", ")) <= set(stages())
    for path in (ROOT / "deploy" / "kubernetes" / "base").glob("*.yaml"):
        assert set(re.findall(r"^ +image: (\w+)$", path.read_text(), re.MULTILINE)) <= there


def test_the_labels_repeat_no_wrong_metadata():
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini")
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', TEXT))
    assert labels["source"] == config["DEFAULT"]["git_url"]
    assert config["DEFAULT"]["description"].startswith(labels["description"])
    assert {"title", "description", "source", "licenses", "version", "revision"} <= set(labels)


def test_every_file_that_is_copied_exists_and_is_sent():
    "var/bundles is there after a training only."
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in re.findall(r"^COPY (?!.*--from)(.*)$", TEXT, re.MULTILINE):
        *sources, _ = [word for word in line.split() if not word.startswith("--")]
        for source in sources:
            assert any(source == path or source.startswith(f"{path}/") for path in sent), source
            assert source == "var/bundles" or (ROOT / source).exists(), source


def scripts() -> list[Path]:
    "The Python programs outside the packages; those of the image have no suffix."
    files = [path for path in (ROOT / "deploy" / "image").iterdir() if path.is_file()]
    image = [path for path in files if path.read_text().startswith("#!/usr/bin/env python")]
    return sorted([*image, *(ROOT / "deploy").glob("*.py"), *(ROOT / "bench").glob("*.py")])


@pytest.mark.parametrize("path", scripts(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_script_imports_of_the_library_is_there(path):
    "No test runs each of them, and the type checker does not look at a file without a suffix."
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("iris_nb", "serve"):
            module = importlib.import_module(str(node.module))
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
