"""release.py VERSION: set the version of settings.ini, date the changelog, export, commit, tag. Nothing is pushed."""

# ruff: noqa: S603, S607

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSION = re.compile(r"^version = (.+)$", re.MULTILINE)
IN_LIBRARY = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
OPEN = re.compile(r"^## (\S+) \(unreleased\)$", re.MULTILINE)


class ReleaseError(Exception):
    "Why there can be no release now; the message is for people."


def git(*words: str, root: Path = ROOT) -> str:
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def check(version: str, root: Path) -> None:
    "Raise ReleaseError where something stands in the way."
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", version):
        raise ReleaseError(f"{version!r} is no version: it needs three numbers, as in 1.2.3.")
    if git("status", "--porcelain", root=root):
        raise ReleaseError("Something is changed and not committed: a release is made of a clean checkout.")
    if f"v{version}" in git("tag", "--list", root=root).splitlines():
        raise ReleaseError(f"There is a tag v{version} already.")
    if not OPEN.search((root / "CHANGELOG.md").read_text()):
        raise ReleaseError("CHANGELOG.md has no section that ends in (unreleased): say there what is new.")


def write(version: str, root: Path, today: str) -> None:
    "Write the version into the metadata and the library, and the date into the changelog."
    settings, library, changelog = root / "settings.ini", root / "iris_nb" / "__init__.py", root / "CHANGELOG.md"
    settings.write_text(VERSION.sub(f"version = {version}", settings.read_text(), count=1))
    library.write_text(IN_LIBRARY.sub(f'__version__ = "{version}"', library.read_text(), count=1))
    changelog.write_text(OPEN.sub(f"## {version} ({today})", changelog.read_text(), count=1))


def release(version: str, root: Path = ROOT, today: str = "") -> None:
    check(version, root)
    write(version, root, today or f"{datetime.now(UTC):%Y-%m-%d}")
    subprocess.run(["nbdev-export"], cwd=root, check=True)
    git("commit", "--quiet", "--all", "--message", f"Release {version}", root=root)
    git("tag", "--annotate", f"v{version}", "--message", f"Release {version}", root=root)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: make release VERSION=1.2.3", file=sys.stderr)
        return 2
    try:
        release(arguments[0])
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"v{arguments[0]} is tagged here. To publish it: git push --follow-tags")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
