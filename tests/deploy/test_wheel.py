"""The wheel: in an environment that has nothing else, library and service work, away from the clone."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import httpx
import pytest

from iris_nb.table import SCHEMA
from tests.running import free_port, running
from tests.tools import find

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def uv(*arguments: str, cwd: Path = ROOT) -> None:
    program = str(ROOT / ".uv" / "bin" / "uv") if (ROOT / ".uv" / "bin" / "uv").exists() else find("uv")
    if program is None:
        pytest.skip("there is no uv here")
    environ = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run([program, *arguments], cwd=cwd, env=environ, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "Built from the source archive, as an index would have it; from a copy, since building leaves files."
    folder = tmp_path_factory.mktemp("wheel")
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("nbs/", "tests/", "docs/")):
            (folder / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "copy" / name).write_bytes((ROOT / name).read_bytes())
    uv("build", "--quiet", "--out-dir", str(folder / "dist"), cwd=folder / "copy")
    [built] = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    "The interpreter of an environment with the service's requirements and the wheel."
    folder = tmp_path_factory.mktemp("clean") / "venv"
    uv("venv", "--quiet", "--python", sys.executable, str(folder))
    python = folder / "bin" / "python"
    uv("pip", "install", "--quiet", "--python", str(python), "--constraint", "constraints.txt", f"{wheel}[serve]")
    return python


def test_it_holds_every_module_and_nothing_else(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = subprocess.run(
        ["git", "ls-files", "iris_nb", "serve"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert held == set(files.stdout.split())


def test_the_source_archive_holds_what_it_is_built_from(wheel):
    [archive] = wheel.parent.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        held = {Path(name).relative_to(Path(name).parts[0]).as_posix() for name in files.getnames()}
    assert {"settings.ini", "setup.py", "pyproject.toml", "constraints.txt", "LICENSE", "README.md"} <= held


def test_nothing_of_training_comes_with_the_service(python):
    code = "import importlib.metadata as m; print(*{d.metadata['Name'].lower() for d in m.distributions()})"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"mlflow", "scikit-learn", "pandas", "nbdev", "voila", "papermill"}


def test_the_command_line_says_its_version(python, tmp_path):
    done = subprocess.run([python.parent / "iris-nb", "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "iris-nb, version" in done.stdout


def test_the_library_predicts(python, bundles, tmp_path):
    code = """
import sys
from pathlib import Path

from iris_nb.bundle import champion
from iris_nb.predict.predictor import Predictor
from iris_nb.table import SCHEMA

print(Predictor.load(champion(Path(sys.argv[1]))).predict([SCHEMA.example])[0].label)
"""
    done = subprocess.run([python, "-c", code, str(bundles)], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() in SCHEMA.classes, done.stderr


def test_the_service_starts_and_predicts(python, bundles, tmp_path):
    (tmp_path / "bundles").symlink_to(bundles)
    port = free_port()
    environ = {"IRIS_HOME": str(tmp_path), "IRIS_PORT": str(port), "PATH": os.defpath}
    url = f"http://127.0.0.1:{port}"
    with running([python, "-m", "serve"], f"{url}/health", tmp_path / "said", environ, tmp_path) as process:
        answer = httpx.post(f"{url}/predict", json=SCHEMA.example)
        assert answer.json()["predictions"][0] in SCHEMA.classes
        assert httpx.get(f"{url}/docs").status_code == 200
    assert process.returncode == 0
