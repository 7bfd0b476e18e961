"""Build every container image and try it: `make image-check`. `builder` says who builds.

Where nobody can, that is a fault; with IMAGE_IF_POSSIBLE set it is only said.
"""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from builder import ROOT, USER, ImageError, NoEngineError, Process, Tool, tool

from iris_nb.table import SCHEMA

MOST_MIB = 220
#: What the service's image must not hold: distributions, programs, places that its user may write to.
FORBIDDEN = {"mlflow", "scikit-learn", "pandas", "papermill", "nbdev", "voila", "jupyterlab", "ipykernel", "uv"}
PROGRAMS = ("cc", "gcc", "g++", "clang", "ld", "make", "curl", "git")
STATE = {"/var/lib/iris", "/tmp", "/var/tmp", "/run/lock", "/dev/shm", "/dev/mqueue", "/run/secrets"}
KEY = "a key for the check"


@contextmanager
def context() -> Iterator[Path]:
    "A folder with what git knows of this repository, as a fresh clone would have it."
    with tempfile.TemporaryDirectory() as folder:
        files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
        for name in filter(None, files.split("\0")):
            if (ROOT / name).is_file():
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, Path(folder) / name)
        (Path(folder) / "var" / "bundles").mkdir(parents=True)
        yield Path(folder)


def ask(url: str, body: object = None, key: str = KEY, patience: float = 10) -> tuple[int, bytes]:
    "Status and body; 0 where nobody answers."
    headers = {"content-type": "application/json", "x-api-key": key}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=patience) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return 0, b""


def wait(process: Process, url: str, wanted: int, patience: float = 60) -> float:
    "Wait for an answer with this status; how long it took."
    start = time.monotonic()
    while time.monotonic() < start + patience:
        if ask(url)[0] == wanted:
            return time.monotonic() - start
        if process.poll() is not None:
            raise ImageError(f"the container ended by itself: {process.stdout and process.stdout.read()}")
        time.sleep(0.05)
    raise ImageError(f"{url} did not answer {wanted} within {patience:g} s, but {ask(url)}")


@contextmanager
def started(tool: Tool, target: str, port: int, env: dict[str, str]) -> Iterator[Process]:
    process = tool.start(target, port, env)
    try:
        yield process
    finally:
        if process.poll() is None:
            stopped(tool, process)


def stopped(tool: Tool, process: Process, patience: float = 30) -> str:
    "What a container said that is ended by SIGTERM, as an engine ends it."
    tool.stop(process)
    try:
        return process.communicate(timeout=patience)[0]
    except subprocess.TimeoutExpired:
        tool.kill(process)
        process.communicate(timeout=patience)
        raise ImageError(f"it still runs {patience:g} s after SIGTERM") from None


def demand(true: object, fault: str) -> None:
    if not true:
        raise ImageError(fault)


def free_port(first: int) -> int:
    "The image's own port, where a HEALTHCHECK looks; it has to be free."
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", first))
        except OSError:
            raise ImageError(
                f"port {first} is taken, and the image's HEALTHCHECK asks there: stop what listens"
            ) from None
    return first


def check_contents(tool: Tool) -> str:
    "The service's image is small, has its own user, and nothing that serving does not need."
    mib, user = tool.size("serve")
    demand(user == USER, f"it runs as {user or 'root'}, not as {USER}")
    demand(mib <= MOST_MIB, f"it adds {mib} MiB to its base; {MOST_MIB} is the most")
    code = "import importlib.metadata as m; print(*{d.metadata['Name'].lower() for d in m.distributions()})"
    inside = set(tool.inside("serve", "python", "-c", code).stdout.decode().split())
    demand(not inside & FORBIDDEN, f"it holds {sorted(inside & FORBIDDEN)}")
    # One at a time: Debian's sh looks for the first name only.
    search = f"for program in {' '.join(PROGRAMS)}; do command -v $program; done"
    found = tool.inside("serve", "sh", "-c", search, check=False).stdout.decode().split()
    demand(not found, f"it holds {found}")
    search = "find / -xdev -name '*.ipynb' -print 2>/dev/null"
    notebooks = tool.inside("serve", "sh", "-c", search, check=False).stdout.decode().split()
    demand(not notebooks, f"it holds {notebooks}")
    search = "find / \\( -path /proc -o -path /sys \\) -prune -o -type d -writable -prune -print 2>/dev/null"
    writable = set(tool.inside("serve", "sh", "-c", search, check=False).stdout.decode().split())
    demand(writable <= STATE, f"its user may write to {sorted(writable - STATE)}")
    return f"{mib} MiB over the base (at most {MOST_MIB}), user {user}, {len(inside)} distributions, none forbidden"


def check_closed(tool: Tool) -> str:
    "Without keys the service does not open itself to the network."
    done = tool.inside("serve", "timeout", "60", "with-secrets", "python", "-m", "serve", check=False)
    demand(done.returncode != 124, "without a key it listens all the same: it was still there after 60 s")
    demand(done.returncode == 2 and b"IRIS_API_KEYS" in done.stderr, f"it does not say what to set: {done}")
    return "without a key it refuses to listen, and says what to set"


def check_empty(tool: Tool) -> str:
    "Without a bundle it lives, says why it is not ready, and is unhealthy."
    url = f"http://127.0.0.1:{(port := free_port(8000))}"
    with started(tool, "serve", port, {"IRIS_ALLOW_OPEN": "1"}) as process:
        wait(process, f"{url}/health", 503)
        demand(ask(f"{url}/health/live")[0] == 200, "it is not alive without a bundle")
        demand(not tool.healthy("serve", process, port), "the HEALTHCHECK passes although no prediction is answered")
        demand(ask(f"{url}/predict", SCHEMA.example)[0] == 503, "it does not answer 503 without a bundle")
    return "without a bundle it is alive, unhealthy, and answers 503"


def check_serving(tool: Tool) -> str:
    "With a bundle: healthy, predicts for who has a key, shows everything it has, stops on SIGTERM."
    url = f"http://127.0.0.1:{(port := free_port(8000))}"
    env = {"IRIS_API_KEYS": f"check:{hashlib.sha256(KEY.encode()).hexdigest()}"}
    with started(tool, "baked", port, env) as process:
        seconds = wait(process, f"{url}/health", 200)
        demand(tool.healthy("baked", process, port), "the HEALTHCHECK fails although it is ready")
        status, body = ask(f"{url}/predict", SCHEMA.example)
        demand(
            status == 200 and json.loads(body)["predictions"][0] in SCHEMA.classes, f"no prediction: {status} {body!r}"
        )
        demand(ask(f"{url}/predict", SCHEMA.example, key="another")[0] == 401, "it predicts for an unknown key")
        for path in ("/", "/docs", "/openapi.json", "/metrics", "/model/info", "/predictions/history", "/health/ready"):
            status, body = ask(url + path)
            demand(status == 200, f"GET {path} answers {status}: {body[:300]!r}")
        begun = time.monotonic()
        said = stopped(tool, process)
        ended = time.monotonic() - begun
        demand(process.returncode == 0, f"after SIGTERM it ended with {process.returncode}: {said[-2000:]}")
        demand("Traceback" not in said, f"it ended with a trace: {said[-2000:]}")
    return f"ready after {seconds:.1f} s, predicts, needs its key, ended {ended:.1f} s after SIGTERM"


def check_watch(tool: Tool) -> str:
    "Without a log it says so in a sentence; it has no page and no server."
    done = tool.inside("watch", "with-secrets", "iris-nb", "watch", check=False)
    demand(done.returncode == 3 and b"There is no audit log" in done.stderr, f"it does not say what it lacks: {done}")
    demand(b"Traceback" not in done.stderr, f"it ended with a trace: {done.stderr.decode()[-2000:]}")
    code = "import importlib.metadata as m; print(*{d.metadata['Name'].lower() for d in m.distributions()})"
    inside = set(tool.inside("watch", "python", "-c", code).stdout.decode().split())
    unwanted = (FORBIDDEN - {"pandas"} | {"plotly", "ipywidgets", "jupyter-server", "litestar"}) & inside
    demand(not unwanted, f"it holds {sorted(unwanted)}")
    return f"{tool.size('watch')[0]} MiB over the base, says what it lacks, {len(inside)} distributions, none of a page"


def check_dashboard(tool: Tool) -> str:
    "Without a token it does not start; with one, the page comes up for who has it, and shows no trace."
    done = tool.inside("dashboard", "timeout", "60", "with-secrets", "python", "-m", "iris_nb.run.servers", check=False)
    demand(done.returncode != 124, "without a token it listens all the same: it was still there after 60 s")
    demand(b"IRIS_DASHBOARD_TOKEN" in done.stderr, f"it does not say what to set: {done}")
    url = f"http://127.0.0.1:{(port := free_port(8866))}"
    with started(tool, "dashboard", port, {"IRIS_DASHBOARD_TOKEN": "checked"}) as process:
        wait(process, f"{url}/voila/static/favicon.ico", 200, patience=120)
        demand(tool.healthy("dashboard", process, port), "the HEALTHCHECK fails although it answers")
        begun = time.monotonic()
        demand(b"widget-state" not in ask(url)[1], "it shows the page without its token")
        # Asked once, and waited for: each request for the page takes a kernel that was started ahead.
        status, page = ask(f"{url}/?token=checked", patience=180)
        demand(status == 200, f"the page answers {status}: {page[:300]!r}")
        demand(b"Traceback" not in page, "the page shows a trace")
    return f"{tool.size('dashboard')[0]} MiB over the base, its page comes after {time.monotonic() - begun:.0f} s"


def train(tool: Tool, bundles: Path) -> str:
    "The training image trains, and its champion's bundle comes out as a tar archive."
    command = "iris-nb train --quick >&2 && tar --create --directory=$IRIS_HOME/bundles ."
    done = tool.inside("train", "sh", "-c", command)
    subprocess.run(["tar", "--extract", "--directory", bundles], input=done.stdout, check=True)
    pointer = bundles / "champion.json"
    demand(pointer.is_file(), f"no champion came out of the training: {done.stderr.decode()[-2000:]}")
    return f"{tool.size('train')[0]} MiB over the base, trained {json.loads(pointer.read_text())['bundle']}"


def main() -> int:
    faults = 0
    try:
        builder = tool()
    except NoEngineError as nobody:
        print(nobody)
        return 0 if os.environ.get("IMAGE_IF_POSSIBLE") else 1

    def step(name: str, what: Callable[[], str]) -> None:
        nonlocal faults
        begun = time.monotonic()
        try:
            said, mark = what(), "ok"
        except (ImageError, subprocess.SubprocessError) as fault:
            said, mark, faults = str(fault), "FAULT", faults + 1
        print(f"{mark:6}{name:11}{said} ({time.monotonic() - begun:.0f} s)", flush=True)

    with context() as folder, ThreadPoolExecutor(2) as pool:

        def built(target: str) -> str:
            builder.build(target, folder)
            return "built"

        def build(target: str) -> None:
            step(target, lambda: built(target))

        def models() -> None:
            build("train")
            step("train", lambda: train(builder, folder / "var" / "bundles"))
            build("baked")

        def pages() -> None:
            for check in (check_contents, check_closed, check_empty):
                step("serve", lambda check=check: check(builder))  # type: ignore[misc]
            build("watch")
            step("watch", lambda: check_watch(builder))
            build("dashboard")

        build("serve")
        # Side by side: a builder mostly waits for one core or the disk.
        for done in [pool.submit(models), pool.submit(pages)]:
            done.result()
        step("baked", lambda: check_serving(builder))
        step("dashboard", lambda: check_dashboard(builder))
    print("Every image is as it should be." if not faults else f"{faults} of the steps above found a fault.")
    return min(faults, 1)


if __name__ == "__main__":
    sys.exit(main())
