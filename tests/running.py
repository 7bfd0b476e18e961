"""Programs that a test starts: on a port of their own, waited for until they answer, ended when the test is."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

import httpx

from iris_nb.run.programs import _is_taken
from tests.waiting import wait_until

#: Below the ports that the system gives to whoever calls out, so that none is taken while its program starts; and for
#: each process of pytest-xdist (gw0, gw1, …) other ones.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8
_PORTS = SystemRandom().sample(range(20_000 + _WORKER, 32_000, 8), 1_500)


def free_port() -> int:
    "A port where nobody listens; never the same one twice."
    return next(port for port in iter(_PORTS.pop, None) if not _is_taken(port))


def responds(url: str) -> bool:
    "Whether `url` is answered, and well."
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def running(
    command: Sequence[str | Path],
    url: str,
    said: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    "A program that answers at `url`; what it says goes to the file `said`, and is told should it not come up."
    with said.open("wb") as out:
        process = subprocess.Popen(command, env=env, cwd=cwd, stdout=out, stderr=out)

    def ready() -> bool:
        assert process.poll() is None, f"{command[0]} ended by itself:\n{said.read_text()}"
        return responds(url)

    try:
        wait_until(ready, f"{url} is answered", 120)
        yield process
    finally:
        process.terminate()
        process.wait(60)
