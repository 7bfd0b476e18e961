"""Find a Chromium for the browser tests, or get one where that is possible.

Run as a program (`make test` does) it installs one where none is found: by apt as root, otherwise by Playwright.
Where neither works it says so, and the browser tests are skipped, or fail where IRIS_REQUIRE_BROWSER is set.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
#: No sandbox, since tests run as root in containers; no look-ups of its maker's hosts.
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--no-first-run", "--disable-component-update"]


def find() -> str | None:
    "The path of a Chromium on this machine, or None."
    from playwright.sync_api import sync_playwright

    for name in NAMES:
        if path := shutil.which(name):
            return path
    with sync_playwright() as p:
        own = p.chromium.executable_path
    return own if Path(own).exists() else None


def get() -> str | None:
    "Install a Chromium; its path, or None where none can be had."
    apt = shutil.which("apt-get") if os.geteuid() == 0 else None
    playwright = [sys.executable, "-m", "playwright", "install", "chromium"]
    ways = (
        [[[apt, "update", "-qq"], [apt, "install", "-y", "-qq", "--no-install-recommends", "chromium"]]] if apt else []
    )
    for way in [*ways, [playwright]]:
        for command in way:
            done = subprocess.run(
                command, capture_output=True, timeout=600, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            )
        if done.returncode == 0 and (path := find()):
            return path
    return None


if __name__ == "__main__":
    path = find()
    if path is None:
        print("No Chromium for the browser tests; getting one…", flush=True)
        path = get()
    print(f"Browser tests use {path}." if path else "No Chromium can be had here: the browser tests will be skipped.")
