"""deploy.sh, with a stand-in for the engine that writes down what it is asked and fails where it is told to."""

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ENGINE = """#!/usr/bin/env bash
# Fails at the call whose text holds the words of a line in the file `fail`.
echo "$IRIS_TAG: ${*:4}" >>"$STAND_IN/calls"
if [[ "$*" == *"exec -T"* ]]; then cat >"$STAND_IN/key"; fi
while read -r words; do
    if [[ "$IRIS_TAG: ${*:4}" == *"$words"* ]]; then echo "the stand-in fails: $words" >&2; exit 1; fi
done <"$STAND_IN/fail"
"""


class World:
    def __init__(self, folder: Path, script: Path) -> None:
        self.folder, self.script = folder, script
        (folder / "engine").write_text(ENGINE)
        (folder / "engine").chmod(0o755)
        self.fail("")

    def fail(self, words: str) -> None:
        (self.folder / "fail").write_text(f"{words}\n" if words else "")

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "calls").write_text("")
        ours = {
            "STAND_IN": str(self.folder),
            "IRIS_ENGINE": str(self.folder / "engine"),
            "IRIS_DEPLOY_STATE": str(self.folder / "state"),
            "IRIS_DEPLOY_SECRETS": str(self.folder / "secrets"),
        }
        command = ["bash", str(self.script), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **ours, **environ}, timeout=60
        )

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def state(self, name: str) -> str:
        path = self.folder / "state" / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def world(tmp_path: Path, deploy: Path) -> World:
    return World(tmp_path, deploy / "deploy.sh")


@pytest.fixture
def deployed(world: World) -> World:
    "A world where the tag `one` runs."
    assert world.run("--tag", "one").returncode == 0
    return world


def index(calls: list[str], words: str) -> int:
    return next(i for i, call in enumerate(calls) if words in call)


def test_it_builds_this_checkout_and_replaces_one_replica_after_the_other(world):
    done = world.run()
    assert done.returncode == 0, done.stderr
    order = ["build", "postgres mlflow", "champion.json", "serve-a", "serve-b", "--wait-timeout 300", "predicts"]
    places = [index(world.calls, words) for words in order]
    assert places == sorted(places)
    assert len({call.split(":")[0] for call in world.calls}) == 1, "one tag for everything"
    assert world.state("now") == world.calls[0].split(":")[0]


def test_a_tag_is_pulled_and_not_built(world):
    assert world.run("--tag", "one").returncode == 0
    assert any("pull" in call for call in world.calls)
    assert not any("build" in call for call in world.calls)


def test_secrets_are_made_once_and_hidden_from_others(deployed):
    folder = deployed.folder / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    made = {path.name: path.read_text() for path in folder.iterdir()}
    assert made["postgres_password"] in made["IRIS_DATABASE_URL"]
    assert made["IRIS_API_KEYS"].startswith("smoke:")
    assert len(set(made.values())) == len(made)
    deployed.run("--tag", "one")
    assert {path.name: path.read_text() for path in folder.iterdir()} == made


def test_the_key_that_it_predicts_with_is_one_that_the_service_knows(deployed):
    from iris_nb.keys import digest_of

    secrets = deployed.folder / "secrets"
    used = (deployed.folder / "key").read_text()
    assert (secrets / "IRIS_API_KEYS").read_text() == f"smoke:{digest_of(used.encode())}"


def test_doing_it_again_changes_nothing_and_succeeds(deployed):
    first = deployed.calls
    done = deployed.run("--tag", "one")
    assert done.returncode == 0
    assert deployed.calls == first
    assert (deployed.state("now"), deployed.state("before")) == ("one", "")


def test_the_next_tag_remembers_the_one_before(deployed):
    deployed.run("--tag", "two")
    assert (deployed.state("now"), deployed.state("before")) == ("two", "one")


def test_a_model_is_trained_where_there_is_none(world):
    world.fail("champion.json")
    assert world.run("--tag", "one").returncode == 0
    assert index(world.calls, "run --rm train") < index(world.calls, "120 serve-a")


def test_no_model_no_replacement(world):
    (world.folder / "fail").write_text("champion.json\nrun --rm train\n")
    done = world.run("--tag", "one")
    assert done.returncode == 1
    assert "the training failed" in done.stderr
    assert not any("serve-a" in call for call in world.calls if "pull" not in call)


def test_images_that_cannot_be_had_change_nothing(deployed):
    deployed.fail("pull")
    done = deployed.run("--tag", "two")
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    assert len(deployed.calls) == 1
    assert deployed.state("now") == "one"


def test_a_replica_that_does_not_come_up_is_taken_back_before_the_other_is_touched(deployed):
    deployed.fail("two: up --detach --no-deps --wait --wait-timeout 120 serve-a")
    done = deployed.run("--tag", "two")
    assert done.returncode == 1
    assert "one answers again" in done.stderr
    assert not any(call.startswith("two: ") and call.endswith(" serve-b") for call in deployed.calls if " up " in call)
    assert index(deployed.calls, "one: up --detach --no-deps --wait --wait-timeout 120 serve-a")
    assert (deployed.state("now"), deployed.state("before")) == ("one", "")


def test_a_service_that_is_healthy_but_does_not_predict_is_taken_back(deployed):
    deployed.fail("two: exec")
    done = deployed.run("--tag", "two")
    assert done.returncode == 1
    assert "one answers again" in done.stderr
    assert deployed.calls[-1].startswith("one: exec")


def test_it_says_so_when_even_the_way_back_fails(deployed):
    (deployed.folder / "fail").write_text("two: exec\none: exec\n")
    done = deployed.run("--tag", "two")
    assert done.returncode == 1
    assert "needs a person" in done.stderr


def test_a_first_deployment_that_fails_is_stopped(world):
    world.fail("exec")
    done = world.run("--tag", "one")
    assert done.returncode == 1
    assert "nothing to go back to" in done.stderr
    assert world.calls[-1] == "one: stop serve-a serve-b"
    assert world.state("now") == ""


def test_going_back_by_hand_needs_no_build_and_can_be_undone(deployed):
    deployed.run("--tag", "two")
    assert deployed.run("--back").returncode == 0
    assert not any("build" in call or "pull" in call for call in deployed.calls)
    assert (deployed.state("now"), deployed.state("before")) == ("one", "two")


def test_there_is_no_way_back_from_the_first(deployed):
    done = deployed.run("--back")
    assert done.returncode == 1
    assert "nothing to go back to" in done.stderr
    assert not deployed.calls


def test_a_dry_run_says_everything_and_does_nothing(world):
    done = world.run("--dry-run", "--tag", "one")
    assert done.returncode == 0
    assert done.stdout.count("would run: ") >= 6
    assert not world.calls
    assert not (world.folder / "secrets").exists()
    assert not (world.folder / "state").exists()


def test_a_missing_engine_is_one_sentence(world):
    done = world.run(IRIS_ENGINE="no-such-engine")
    assert done.returncode == 1
    assert done.stderr.strip() == "deploy.sh: there is no no-such-engine here; IRIS_ENGINE names another engine."


def test_an_unknown_option_is_one_sentence(world):
    done = world.run("--fast")
    assert done.returncode == 2
    assert "there is no option --fast" in done.stderr


@pytest.mark.parametrize(
    "script",
    ["deploy.sh", "rollout.sh", "fetch-champion.sh", "image/with-secrets", "image/lean", "image/install-locked"],
)
def test_shellcheck_finds_nothing(need: Callable[[str], str], deploy: Path, script: str):
    done = subprocess.run([need("shellcheck"), str(deploy / script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
