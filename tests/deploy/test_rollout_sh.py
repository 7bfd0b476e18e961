"""rollout.sh, with a stand-in for kubectl that renders as the real one does and remembers what it was asked."""

import os
import subprocess
from pathlib import Path

import pytest

KUBECTL = """#!/usr/bin/env bash
case "$*" in
    kustomize*) exec "$REAL_KUBECTL" "$@" ;;
esac
echo "$*" >>"$STAND_IN/calls"
[ -n "$KUBECONFIG" ] && cat "$KUBECONFIG" >"$STAND_IN/config"
case "$*" in
    apply*) cp "${@: -1}" "$STAND_IN/applied.yaml"
            if [ -s "$STAND_IN/revision" ]; then echo $(($(cat "$STAND_IN/revision") + 1)) >"$STAND_IN/revision"; fi ;;
    *get\\ deployment*) cat "$STAND_IN/revision" ;;
    *get\\ secret*) printf c2VjcmV0 ;;
    *exec*) cat >"$STAND_IN/key" ;;
    *undo*) echo undone >"$STAND_IN/undone"; rm -f "$STAND_IN/fail-once" ;;
esac
for file in fail fail-once; do
    if [ -s "$STAND_IN/$file" ] && [[ "$*" == *"$(cat "$STAND_IN/$file")"* ]]; then exit 1; fi
done
exit 0
"""


class World:
    def __init__(self, folder: Path, script: Path, kubectl: str) -> None:
        self.folder, self.script, self.kubectl = folder, script, kubectl
        (folder / "kubectl").write_text(KUBECTL)
        (folder / "kubectl").chmod(0o755)
        self.write("revision", "4\n")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        ours = {
            "STAND_IN": str(self.folder),
            "IRIS_KUBECTL": str(self.folder / "kubectl"),
            "REAL_KUBECTL": self.kubectl,
        }
        everything = {**os.environ, **ours, **environ}
        command = ["bash", str(self.script), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=everything, timeout=60)


@pytest.fixture
def world(tmp_path, deploy, need) -> World:
    return World(tmp_path, deploy / "rollout.sh", need("kubectl"))


def test_it_applies_the_overlay_with_the_images_of_the_tag_and_asks_for_a_prediction(world):
    done = world.run("staging", "--tag", "abc", "--registry", "ghcr.io/Me/Iris")
    assert done.returncode == 0, done.stderr
    assert "abc answers in staging" in done.stdout
    images = {line.split()[-1] for line in world.read("applied.yaml").splitlines() if " image: " in f" {line}"}
    assert images == {f"ghcr.io/me/iris/{image}:abc" for image in ("serve", "watch", "dashboard")}
    assert world.read("key") == "secret"
    assert all("iris-staging" in call for call in world.read("calls").splitlines() if not call.startswith("apply"))


def test_the_checkout_stays_as_it_was(world, deploy):
    before = {path: path.read_bytes() for path in (deploy / "kubernetes").rglob("*.yaml")}
    world.run("production", "--tag", "abc")
    assert {path: path.read_bytes() for path in (deploy / "kubernetes").rglob("*.yaml")} == before


@pytest.mark.parametrize("words", ["rollout status deployment/iris-serve", "exec"])
def test_what_does_not_answer_is_taken_back(world, words):
    world.write("fail-once", words)
    done = world.run("production", "--tag", "abc")
    assert done.returncode == 1
    assert world.read("undone")
    assert "rollout undo deployment/iris-serve --to-revision 4" in world.read("calls")
    assert "revision 4 answers again" in done.stderr


def test_it_says_so_when_even_the_way_back_fails(world):
    world.write("fail", "exec")
    done = world.run("production", "--tag", "abc")
    assert done.returncode == 1
    assert "needs a person" in done.stderr


def test_a_first_rollout_has_no_way_back(world):
    world.write("revision", "")
    world.write("fail", "exec")
    done = world.run("staging", "--tag", "abc")
    assert done.returncode == 1
    assert "nothing to go back to" in done.stderr
    assert not world.read("undone")


def test_a_cluster_that_is_given_as_text_leaves_nothing_behind(world):
    world.run("staging", "--tag", "abc", KUBECONFIG_CONTENT="the cluster")
    assert world.read("config") == "the cluster"


def test_a_dry_run_shows_everything_and_applies_nothing(world):
    done = world.run("staging", "--tag", "abc", "--dry-run")
    assert done.returncode == 0
    assert "kind: Deployment" in done.stdout
    assert not world.read("calls")


@pytest.mark.parametrize("arguments", [["nowhere", "--tag", "abc"], ["staging"], []])
def test_an_unknown_overlay_or_a_missing_tag_is_one_sentence(world, arguments):
    done = world.run(*arguments)
    assert done.returncode == 2
    assert done.stderr.strip() == "rollout.sh: it needs an overlay (production staging) and --tag TAG."
