"""`make fetch-champion`, with a stand-in for gh that knows some runs."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Lists as gh does (by name of the head branch, whoever owns it) and prints what the jq filter of the script prints.
GH = """#!/usr/bin/env python3
import argparse, json, sys
known = json.load(open({runs!r}))
if sys.argv[1:3] == ["run", "download"]:
    print("downloads", sys.argv[3])
    sys.exit()
parser = argparse.ArgumentParser()
for option in ("workflow", "branch", "event", "status", "limit", "json", "jq"):
    parser.add_argument("--" + option)
asked = parser.parse_args(sys.argv[3:])
found = [run for run in known if asked.event in (None, run["event"]) and run["branch"] == asked.branch]
for run in found[: int(asked.limit)]:
    print(run["createdAt"], run["databaseId"]) if "createdAt" in asked.json else print(run["databaseId"])
"""


def run(number: int, day: int, event: str, branch: str = "main") -> dict[str, object]:
    return {"databaseId": number, "createdAt": f"2026-03-{day:02}T04:17:00Z", "event": event, "branch": branch}


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([run(9, 28, "pull_request"), run(5, 9, "push")], "downloads 5"),
        ([run(9, 28, "pull_request")] * 60 + [run(5, 9, "push")], "downloads 5"),
        ([run(9, 28, "pull_request_target")], "No training was kept yet: the first champion has nobody to beat."),
        ([run(7, 11, "schedule"), run(6, 10, "workflow_dispatch"), run(5, 9, "push")], "downloads 7"),
        ([run(8, 12, "push", "other"), run(6, 10, "workflow_dispatch"), run(5, 9, "push")], "downloads 6"),
        ([], "No training was kept yet: the first champion has nobody to beat."),
    ],
)
def test_the_champion_to_beat_is_of_our_own_main_branch(tmp_path, runs, said):
    "A pull request from a fork's main has a head branch called main as well."
    (tmp_path / "runs.json").write_text(json.dumps(runs))
    (tmp_path / "gh").write_text(GH.format(runs=str(tmp_path / "runs.json")))
    (tmp_path / "gh").chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["make", "--silent", "fetch-champion", f"PATH={environ['PATH']}"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == said
