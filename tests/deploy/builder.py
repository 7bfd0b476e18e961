"""Who builds and starts container images here: what IMAGE_TOOL names, else docker, else podman.

A program that IMAGE_TOOL names has the verbs `build --target T -t NAME CONTEXT`, `exec NAME CMD…`,
`start NAME ENV=VALUE…`, `health NAME` and `size NAME`; what it starts runs on this machine's network.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
USER = "10001"
Process = subprocess.Popen[str]


class ImageError(Exception):
    "What is wrong with an image; the message is for people."


class NoEngineError(ImageError):
    "Nothing here builds images."


def run(*command: str, timeout: float = 1500, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(command, capture_output=True, timeout=timeout)
    if check and done.returncode:
        raise ImageError(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stderr.decode()[-3000:]}")
    return done


def begin(*command: str) -> Process:
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, text=True, **pipes)  # type: ignore[call-overload,no-any-return]


class Tool:
    "The program that IMAGE_TOOL names."

    def __init__(self, program: str) -> None:
        self.program = program

    def build(self, target: str, context: Path) -> None:
        command = ("build", "-f", f"{context}/Dockerfile", "--target", target, "-t", tag(target), str(context))
        # Such builders now and then trip over their own start; a fault of ours is there the second time too.
        if run(self.program, *command, check=False).returncode:
            run(self.program, *command)

    def inside(self, target: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        return run(self.program, "exec", tag(target), *command, check=check)

    def size(self, target: str) -> tuple[int, str]:
        "MiB over the base, and the user."
        said = run(self.program, "size", tag(target), check=False).stdout.decode()
        found = re.search(r"(\d+) MiB over the base, user ?(\w*)", said)
        if not found:
            raise ImageError(f"the size of {target} is not known: {said}")
        return int(found[1]), found[2]

    def start(self, target: str, port: int, env: dict[str, str]) -> Process:
        pairs = [f"{name}={value}" for name, value in env.items()]
        return begin(self.program, "start", tag(target), *pairs)

    def healthy(self, target: str, process: Process, port: int) -> bool:
        "What the image's HEALTHCHECK says; it asks at the image's own port."
        return run(self.program, "health", tag(target), check=False).returncode == 0

    def stop(self, process: Process) -> None:
        "SIGTERM to the first process of the container, as an engine sends it."
        first = next((pid for pid in descendants(process.pid) if in_container(pid)), process.pid)
        os.kill(first, signal.SIGTERM)

    def kill(self, process: Process) -> None:
        "End every process of a container that does not end by itself."
        for pid in [pid for pid in descendants(process.pid) if in_container(pid)]:
            os.kill(pid, signal.SIGKILL)


class Engine(Tool):
    "docker or podman; containers get a read-only root and no capability."

    LOCKED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")

    def build(self, target: str, context: Path) -> None:
        run(self.program, "build", "--target", target, "--tag", tag(target), str(context))

    def inside(self, target: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        state = "--tmpfs=/var/lib/iris:uid=10001" if target == "train" else "--tmpfs=/nothing"
        whole = ("run", "--rm", *self.LOCKED, state, "--entrypoint=with-secrets", tag(target), *command)
        return run(self.program, *whole, check=check)

    def size(self, target: str) -> tuple[int, str]:
        def inspect(name: str, field: str) -> str:
            return run(self.program, "image", "inspect", "--format", field, name).stdout.decode().strip()

        base = re.search(r"^FROM (\S+) AS base$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        assert base
        name = base[1].replace("${PYTHON}", "3.11")
        run(self.program, "pull", "--quiet", name)
        mib = (int(inspect(tag(target), "{{.Size}}")) - int(inspect(name, "{{.Size}}"))) // (1 << 20)
        return mib, inspect(tag(target), "{{.Config.User}}").split(":")[0]

    def start(self, target: str, port: int, env: dict[str, str]) -> Process:
        pairs = [f"--env={name}={value}" for name, value in env.items()]
        state = () if target == "baked" else ("--tmpfs=/var/lib/iris:uid=10001",)
        ports = f"--publish=127.0.0.1:{port}:{port}"
        command = ["run", "--rm", f"--name={container(target)}", ports, *self.LOCKED, *state, *pairs, tag(target)]
        return subprocess.Popen(
            [self.program, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def healthy(self, target: str, process: Process, port: int) -> bool:
        health = "{{json .Config.Healthcheck.Test}}"
        test = json.loads(run(self.program, "image", "inspect", "--format", health, tag(target)).stdout)
        return run(self.program, "exec", container(target), *test[1:], check=False).returncode == 0

    def stop(self, process: Process) -> None:
        self._send("TERM", process)

    def kill(self, process: Process) -> None:
        self._send("KILL", process)

    def _send(self, sign: str, process: Process) -> None:
        name = next(word for word in process.args if str(word).startswith("--name="))  # type: ignore[union-attr]
        run(self.program, "kill", f"--signal={sign}", str(name).removeprefix("--name="))


def tag(target: str) -> str:
    return f"iris-check:{target}"


def container(target: str) -> str:
    return f"iris-check-{target}-{os.getpid()}"


def descendants(pid: int) -> Iterator[int]:
    "Every process below `pid`, parents first; any thread may have started one."
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield int(child)
            yield from descendants(int(child))


def in_container(pid: int) -> bool:
    "Whether a process is the image's own, and not the builder on its way there."
    status, program = Path(f"/proc/{pid}/status").read_text(), Path(f"/proc/{pid}/exe").readlink()
    return f"Uid:\t{USER}\t" in status and not program.name.startswith("memfd:")


def tool() -> Tool:
    if program := os.environ.get("IMAGE_TOOL"):
        return Tool(program)
    for name in ("docker", "podman"):
        if shutil.which(name) and run(name, "version", check=False, timeout=60).returncode == 0:
            return Engine(name)
    raise NoEngineError("No image was built: neither docker nor podman answers here, and IMAGE_TOOL names no builder.")
