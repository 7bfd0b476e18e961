"""The workflows: each job does what somebody can do here, and may do no more than it has to."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in FILES}
JOBS = {f"{name}.{job}": it for name, workflow in WORKFLOWS.items() for job, it in workflow["jobs"].items()}
ACTIONS = [*FILES, *(ROOT / ".github" / "actions").glob("*/action.yml")]
#: Commands that are no target, each with why that is so.
ALLOWED = {
    "show": 'if [ -f var/summary.md ]; then cat var/summary.md >> "$GITHUB_STEP_SUMMARY"; fi',
    "comment": 'gh pr comment "$NUMBER" --repo "$REPOSITORY" --body-file summary.md --edit-last --create-if-none',
}
#: Jobs whose work is done by actions, on what a make target builds and tries in another job.
BY_ACTIONS = {"image.publish", "image.deploy", "docs.publish", "train.comment", "security.codeql"}
#: What a job may write to. Everything else only reads.
MAY_WRITE = {
    "docs.publish": {"id-token", "pages"},
    "image.publish": {"attestations", "id-token", "packages"},
    "security.codeql": {"security-events"},
    "train.comment": {"pull-requests"},
}
each_job = pytest.mark.parametrize("name", JOBS)


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job.get("steps", []) if "run" in step]


def targets() -> set[str]:
    text = "\n".join(
        path.read_text() for path in [ROOT / "Makefile", *ROOT.glob("*.mk"), ROOT / "deploy" / "targets.mk"]
    )
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


def test_the_workflows_that_ship_are_there():
    assert {"ci", "train", "docs", "image", "deploy", "security"} <= set(WORKFLOWS)


@each_job
def test_every_command_of_a_job_is_a_target_that_runs_here_too(name):
    for command in commands(JOBS[name]):
        found = re.match(r"make ([a-z-]+)", command)
        known = command in ALLOWED.values() or (found and found[1] in targets())
        assert known, f"{name} runs {command!r}, which is no make target"
    made = any(command.startswith("make ") for command in commands(JOBS[name]))
    assert made or name in BY_ACTIONS, f"{name} runs no make target"


@each_job
def test_a_job_says_what_it_may_do_and_how_long(name):
    job = JOBS[name]
    writes = {what for what, how in job["permissions"].items() if how != "read"}
    assert writes == MAY_WRITE.get(name, set()), f"{name} may write to {writes}: add it to MAY_WRITE if it has to"
    assert "uses" in job or job["timeout-minutes"] <= 60


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_do_nothing_by_itself_and_does_not_run_beside_itself(name):
    assert WORKFLOWS[name]["permissions"] == {}
    assert "concurrency" in WORKFLOWS[name]


@pytest.mark.parametrize("path", ACTIONS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_an_action_of_others_is_pinned_by_its_commit_and_says_its_version(path):
    for used in re.findall(r"uses: (.+)$", path.read_text(), re.MULTILINE):
        assert used.startswith("$/.github/") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", used), used


def test_one_action_has_one_commit_everywhere():
    pins: dict[str, set[str]] = {}
    for path in ACTIONS:
        for action, commit in re.findall(r"uses: ([\w-]+/[\w-]+)[\w./-]*@(.+)$", path.read_text(), re.MULTILINE):
            pins.setdefault(action, set()).add(commit)
    assert all(len(commits) == 1 for commits in pins.values()), pins


def test_every_supported_python_is_tested():
    about = (ROOT / "settings.ini").read_text()
    [lowest] = re.findall(r"^min_python = (.+)$", about, re.MULTILINE)
    tested = WORKFLOWS["ci"]["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert tested[0] == lowest
    assert len(tested) >= 3


def test_production_waits_for_staging_and_for_a_person():
    jobs = WORKFLOWS["deploy"]["jobs"]
    assert jobs["production"]["needs"] == "staging"
    assert jobs["production"]["environment"] == "production"


def test_a_workflow_that_is_wrong_is_found(tmp_path, need):
    "The checks themselves can fail."
    (tmp_path / "wrong.yml").write_text(FILES[0].read_text().replace("runs-on:", "run-on:"))
    schema = [need("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(tmp_path / "wrong.yml")]
    assert subprocess.run(schema, capture_output=True).returncode != 0
    text = re.sub(r"@[0-9a-f]{40}", "@main", FILES[0].read_text())
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    (tmp_path / ".github" / "workflows" / "open.yml").write_text(text)
    zizmor = [need("zizmor"), "--offline", "--quiet", "--no-progress", str(tmp_path)]
    assert subprocess.run(zizmor, capture_output=True).returncode != 0
