"""A stage for the guides: real programs in a folder and on ports of their own, so that nothing of yours is touched.

The guides show what you would type and what you would see. So a command may say `var`, 8000, 8866 and 5000, the
usual places; the stage puts its own in before it runs, and the usual ones back into what is printed.
"""

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
PORTS = {"IRIS_PORT": 8000, "IRIS_DASHBOARD_PORT": 8866, "IRIS_MLFLOW_PORT": 5000}
ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def free_ports(count: int) -> list[int]:
    "Ports that nobody listens on."
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def end_with_parent() -> None:
    "On Linux: a program of the stage does not outlive the kernel that started it."
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Stage:
    def __init__(self, **settings: str) -> None:
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.home = Path(self.folder.name).resolve() / "var"
        self.home.mkdir()
        self.ports = dict(zip(PORTS, free_ports(3), strict=True))
        tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}
        own = {"IRIS_HOME": str(self.home), "PATH": tools, **quiet, **{k: str(v) for k, v in self.ports.items()}}
        outside = {k: v for k, v in os.environ.items() if not k.startswith(("IRIS_", "MLFLOW_", "IN_TEST"))}
        self.environ = {**outside, **own, **settings}
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.root = ROOT  # where commands run

    @property
    def url(self) -> str:
        "Where the service of this stage answers."
        return f"http://127.0.0.1:{self.ports['IRIS_PORT']}"

    def champion(self, version: str = "1", name: str = "lda", answers: bool = True) -> str:
        "Make a bundle and let it answer: a second's work, where `iris-nb train` takes longer and proves more."
        from dataclasses import replace
        from datetime import UTC, datetime

        from iris_nb.bundle import Card, point_champion, write_bundle
        from iris_nb.train.data import arrays, load
        from iris_nb.train.candidates import build, candidate
        from iris_nb.train.onnx_export import to_onnx
        from iris_nb.table import SCHEMA

        X, y = arrays(load())
        kind = "qda_shrunk" if name == "qda" and not SCHEMA.is_plain else name  # one-hot columns add up to one
        fitted = build(replace(candidate(kind), features=SCHEMA.features)).fit(X, y)
        P = fitted.predict_proba(X)
        scores = 1 - P[range(len(y)), y]
        made = datetime.now(UTC).isoformat(timespec="seconds")
        card = Card(f"{SCHEMA.name}_{name}", version, made, SCHEMA, f"{candidate(name).title}, made for a guide.")
        labels = [SCHEMA.classes[i] for i in y]
        folder = write_bundle(self.home / "bundles", card, to_onnx(fitted), (X[::10], P[::10]), (X, labels), scores)
        if answers:
            point_champion(self.home / "bundles", folder.name)
        return folder.name

    def move_to_copy(self) -> Path:
        "Let commands run in a copy of the project, as in a fresh clone of it; return its folder."
        self.root = self.home.parent / "clone"
        leave = shutil.ignore_patterns("__pycache__", ".*", "var", "_proc", "_docs")
        for name in ("nbs", "iris_nb", "serve"):
            shutil.copytree(ROOT / name, self.root / name, ignore=leave, symlinks=True)
        for name in ("pyproject.toml", "settings.ini", "setup.py", "_quarto.yml"):
            shutil.copy(ROOT / name, self.root)
        self.environ["PYTHONPATH"] = str(self.root)
        author = ["-c", "user.name=stage", "-c", "user.email=stage@localhost", "-c", "commit.gpgsign=false"]
        for command in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "As cloned"]):
            subprocess.run(["git", *command], cwd=self.root, check=True, capture_output=True, timeout=30)
        return self.root

    def own(self, text: str) -> str:
        "Put the stage's places for the usual ones."
        for variable, usual in PORTS.items():
            text = re.sub(rf"(?<=:){usual}\b", str(self.ports[variable]), text)
        return re.sub(r"(?<![\w/.])var(?=/|\b(?![\w.]))", str(self.home), text)

    def usual(self, text: str) -> str:
        "Put the usual places for the stage's."
        for variable, port in self.ports.items():
            text = re.sub(rf"(?<=:){port}\b", str(PORTS[variable]), text)
        for folder, shown in ((self.home, "var"), (self.root, "…"), (self.home.parent, "…"), (ROOT, "…")):
            text = text.replace(str(folder), shown)
        text = re.sub(r"(?:^.*\d+%\|.*\n?)+(?=.*\d+%\|)", "", text.replace("\r", "\n"), flags=re.M)
        return ANSI.sub("", text)

    def sh(self, command: str, **settings: str) -> None:
        "Run a command in the project's folder, as a terminal would, and print what it prints."
        done = subprocess.run(
            ["bash", "-c", self.own(command)],
            cwd=self.root,
            env=self.environ | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        print(self.usual(done.stdout).rstrip())
        if done.returncode:
            print(f"(exit code {done.returncode})")

    def show(self, command: str, **settings: str) -> None:
        "Print a command as it would be typed, then run it: for one that holds columns of the project's own table."
        print(f"$ {command}\n")
        self.sh(command, **settings)

    def start(self, command: str, answers: str = "http://127.0.0.1:8000/health/live", **settings: str) -> None:
        "Start a program that stays (again, where it runs already), and wait until it answers."
        if command in self.running and self.running[command].poll() is None:
            self.stop(command)
        log = self.log(command).open("w")
        self.running[command] = subprocess.Popen(
            ["bash", "-c", f"exec {self.own(command)}"],
            cwd=self.root,
            env=self.environ | settings,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=end_with_parent,
        )
        log.close()
        began = time.monotonic()
        while not self.hears(self.own(answers)):
            if self.running[command].poll() is not None or time.monotonic() - began > 60:
                raise RuntimeError(f"{command} does not answer:\n{self.said(command)}")
            time.sleep(0.05)

    def said(self, command: str) -> str:
        "Return what a started program printed so far."
        return self.usual(self.log(command).read_text())

    def log(self, command: str) -> Path:
        return self.home.parent / (re.sub(r"\W+", "-", command) + ".log")

    @staticmethod
    def hears(url: str) -> bool:
        try:
            with urllib.request.urlopen(url, timeout=30):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return True
        except OSError:
            return False

    def stop(self, command: str) -> int:
        "End a program as Ctrl-C would; its exit code."
        process = self.running[command]
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout=30)

    def close(self) -> None:
        "End what still runs and remove the folder."
        for command, process in self.running.items():
            if process.poll() is None:
                self.stop(command)
        self.folder.cleanup()
