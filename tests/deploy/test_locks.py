"""What the images install is what everybody installs, with hashes."""

import os
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
IMAGES = ("serve", "watch", "dashboard", "train")
FORBIDDEN = {"mlflow", "scikit-learn", "pandas", "papermill", "nbdev", "voila", "jupyterlab", "ipykernel", "notebook"}


def pins(name: str) -> dict[str, set[str]]:
    "For each distribution its pinned lines, without hashes."
    found: dict[str, set[str]] = {}
    for line in (ROOT / name).read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            requirement = Requirement(line.rstrip(" \\"))
            pinned = f"{requirement.specifier} {requirement.marker or ''}".strip()
            found.setdefault(canonicalize_name(requirement.name), set()).add(pinned)
    return found


@pytest.mark.parametrize("image", IMAGES)
def test_a_lock_has_the_versions_of_the_constraints(image):
    everybody = pins("constraints.txt")
    for name, versions in pins(f"deploy/lock/{image}.txt").items():
        numbers = {v.split(" ")[0] for v in versions}
        assert numbers <= {v.split(" ")[0] for v in everybody.get(name, set())}, f"{name}: run `make lock-images`"


@pytest.mark.parametrize("image", IMAGES)
def test_a_lock_has_what_its_groups_ask_for(image):
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini")
    about = config["DEFAULT"]
    locked = pins(f"deploy/lock/{image}.txt")
    for group in ("requirements", f"{image}_requirements", "postgres_requirements"):
        for text in about[group].split():
            wanted = Requirement(text)
            versions = {v.split(" ")[0].removeprefix("==") for v in locked.get(canonicalize_name(wanted.name), set())}
            assert versions, f"{wanted.name} of {group} is not locked: run `make lock-images`"
            assert any(wanted.specifier.contains(v, prereleases=True) for v in versions)


def test_no_lock_has_what_is_left_out():
    "What would slow every start down, and why, is said in the file."
    locks = [pins(name) for name in ("constraints.txt", *(f"deploy/lock/{image}.txt" for image in IMAGES))]
    left_out = set(pins("deploy/leave-out.txt"))
    assert left_out
    assert not [left_out & set(lock) for lock in locks if left_out & set(lock)]


@pytest.mark.parametrize(
    "lock", [ROOT / "constraints.txt", *sorted((ROOT / "deploy" / "lock").glob("*.txt"))], ids=lambda lock: lock.name
)
def test_every_locked_file_is_known_by_its_hash(lock):
    blocks = re.split(r"\n(?=\S)", lock.read_text().strip())
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", block) for block in blocks)


def test_the_service_brings_nothing_of_training_or_watching():
    assert not set(pins("deploy/lock/serve.txt")) & FORBIDDEN


def test_the_watch_brings_no_page_and_no_training():
    page = {"voila", "ipywidgets", "plotly", "ipykernel", "jupyter-server", "tornado", "litestar", "granian"}
    assert not set(pins("deploy/lock/watch.txt")) & (page | FORBIDDEN - {"pandas"})


WATCH = """
import re, sys
from importlib.metadata import packages_distributions
locked = set(sys.argv.pop(1).split())
brought = {
    package
    for package, names in packages_distributions().items()
    if not any(re.sub("[-_.]+", "-", name).lower() in locked for name in names)
}

class Locked:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in brought:
            raise ModuleNotFoundError(f"{name} is not in the lock", name=name)

sys.meta_path.insert(0, Locked)
from iris_nb.cli import main
sys.argv = ["iris-nb", "watch", "--window", "1h"]
sys.exit(main())
"""


def test_the_watch_needs_nothing_beyond_its_lock(bundles, tmp_path):
    "It judges a log here while every distribution that its image lacks can't be imported."
    (tmp_path / "bundles").symlink_to(bundles)
    environ = {**os.environ, "IRIS_HOME": str(tmp_path)}
    program = Path(sys.executable).parent / "iris-nb"
    subprocess.run(
        [program, "simulate", "--past", "60", "--rate", "0.02"], env=environ, check=True, capture_output=True
    )
    locked = {"iris-nb", *pins("deploy/lock/watch.txt")}
    done = subprocess.run([sys.executable, "-c", WATCH, " ".join(locked)], env=environ, capture_output=True, text=True)
    assert " rows (1h): " in done.stdout, done.stderr
    assert (tmp_path / "watch.json").is_file()


def test_whatever_make_installs_is_known_by_its_hash():
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    [uv] = re.findall(r"-m pip install (.+)", text)
    [environment] = re.findall(r"uv pip sync (.+)", text)
    assert "--require-hashes --requirement deploy/lock/build.txt" in uv
    assert "--require-hashes constraints.txt" in environment
    assert all("--build-constraint deploy/lock/build.txt" in line for line in re.findall(r"uv pip install (.+)", text))
    assert "--generate-hashes" in re.findall(r"^lock:.*\n(?:\t.*\n)+", text, re.MULTILINE)[0]


def test_the_workflows_have_the_uv_of_the_makefile():
    [version] = pins("deploy/lock/build.txt")["uv"]
    action = (ROOT / ".github" / "actions" / "prepare" / "action.yml").read_text()
    assert re.findall(r"version: ([\d.]+)\n", action) == [version.removeprefix("==")]
