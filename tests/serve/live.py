"""A service as a process of its own."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.running import free_port, responds
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


class Live:
    "`python -m serve` on a free port; a context, so that no process stays behind."

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        self.home, self.port = home, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("IRIS_")}
        self.environ = {**clean, "IRIS_HOME": str(home), "IRIS_PORT": str(self.port), "IRIS_WATCH_SECONDS": "0.1"}
        self.environ |= environ

    def __enter__(self) -> Self:
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "serve"],
            cwd=ROOT,
            env=self.environ,
            stdout=self.errors,
            stderr=self.errors,
            start_new_session=True,
        )
        alive = f"{self.url}/health/live"
        wait_until(lambda: responds(alive) or self.process.poll() is not None, "the service answers")
        return self

    def said(self) -> str:
        "Everything on standard output and standard error so far."
        self.errors.seek(0)
        return self.errors.read().decode()

    def stop(self, sign: signal.Signals = signal.SIGTERM, timeout: float = 60) -> int:
        self.process.send_signal(sign)
        return self.process.wait(timeout)

    def kill(self) -> None:
        "As a power cut or the kernel would: parent and workers, without a word."
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.kill()
        self.errors.close()
