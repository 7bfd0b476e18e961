"""audit.py: ask PyPI whether a locked requirement has a known weakness, and name each that has."""

# ruff: noqa: S603

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLAIN = ("pip-audit", "--strict", "--disable-pip", "--progress-spinner=off", "--format=json")


def ask(lock: Path) -> subprocess.CompletedProcess[str]:
    whole = "--require-hashes" if "--hash=" in lock.read_text() else "--no-deps"
    return subprocess.run([*PLAIN, whole, "--requirement", str(lock)], capture_output=True, text=True, check=False)


def mended(versions: list[str]) -> str:
    return f"mended in {', '.join(versions)}" if versions else "no version mends it yet"


def weaknesses(said: str) -> list[str]:
    "A sentence for each weakness in what pip-audit found; raises ValueError where that is no report."
    return [
        f"{one['name']} {one['version']} has {weak['id']}; {mended(weak['fix_versions'])}."
        for one in json.loads(said)["dependencies"]
        for weak in one["vulns"]
    ]


def judge(lock: Path, name: str) -> list[str]:
    "What is wrong with a lock, one sentence each."
    done = ask(lock)
    try:
        return [f"{name}: {fault}" for fault in weaknesses(done.stdout)]
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1].split(":", 2)[-1].strip()
        return [f"{name} was not judged, for pypi.org could not be asked, and mirrors know no weaknesses: {reason}"]


def main(root: Path = ROOT) -> int:
    locks = [root / "constraints.txt", *sorted((root / "deploy" / "lock").glob("*.txt"))]
    faults = [fault for lock in locks for fault in judge(lock, str(lock.relative_to(root)))]
    print("\n".join(faults), file=sys.stderr) if faults else print(f"No known weakness in {len(locks)} locks.")
    return min(len(faults), 1)


if __name__ == "__main__":
    sys.exit(main())
