"""The main job, as a newcomer does it: one command, one pasted line, a row in the log, pages to look at."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from iris_nb.bundle import champion, read_bundle
from iris_nb.run.programs import PROGRAMS
from iris_nb.table import SCHEMA
from tests.running import free_port
from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]
READY = re.compile(r"Ready: (.+?) at (\S+)")


def left_behind(home: Path) -> list[int]:
    "The processes that were started with this home."
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and f"IRIS_HOME={home}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


class Up:
    "A running `make up`, in a home and on ports of its own."

    def __init__(self, home: Path) -> None:
        self.home = home
        ports = {p.variable: str(free_port()) for p in PROGRAMS}
        self.environ = {**os.environ, **ports, "IRIS_HOME": str(home)}
        self.lines: list[str] = []

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["make", "up"],
            cwd=ROOT,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        self.urls: dict[str, str] = {}
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)
            if found := READY.search(line):
                self.urls[found[1]] = found[2]
                if len(self.urls) == len(PROGRAMS):
                    return
        raise AssertionError("it ended by itself:\n" + "".join(self.lines))

    def stop(self, signum: signal.Signals) -> int:
        "Ctrl-C reaches every process of the terminal's group, SIGTERM the one that is named."
        if signum == signal.SIGINT:
            os.killpg(self.process.pid, signum)
        else:
            self.process.send_signal(signum)
        self.lines.append(self.process.communicate(timeout=60)[0])
        return self.process.returncode


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    up = Up(tmp_path_factory.mktemp("home"))
    up.start()
    yield up
    if up.process.poll() is None:
        up.stop(signal.SIGTERM)


@pytest.fixture(scope="module")
def answer(up: Up) -> dict:
    "What the pasted line answers."
    line = next(line for line in up.lines if line.startswith("curl "))
    pasted = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    return json.loads(pasted.stdout)


def get(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=30) as response:
        return json.load(response)


@pytest.mark.slow
def test_the_training_says_what_the_gate_thought_and_leaves_a_whole_champion(up):
    folder = champion(up.home / "bundles")
    assert folder is not None
    assert read_bundle(folder).card.name.startswith(SCHEMA.name)
    assert list((up.home / "runs").glob("*.ipynb")), "the executed notebook is kept"


@pytest.mark.slow
def test_the_pasted_line_is_answered_in_the_promised_shape(answer):
    promised = ["predictions", "probabilities", "model_name", "model_version", "processing_time_ms", "timestamp"]
    assert list(answer)[:6] == promised
    assert answer["predictions"][0] in SCHEMA.classes
    assert sum(answer["probabilities"][0]) == pytest.approx(1)


@pytest.mark.slow
def test_the_pasted_line_left_one_row_in_the_log(up, answer):
    log = sqlite3.connect(f"file:{up.home / 'audit.db'}?mode=ro", uri=True)
    log.row_factory = sqlite3.Row
    row = log.execute("SELECT * FROM predictions WHERE id = ?", answer["prediction_ids"]).fetchone()
    log.close()
    assert {name: row[name] for name in SCHEMA.names} == SCHEMA.example
    assert row["label"] == answer["predictions"][0]
    assert json.loads(row["probabilities"]) == answer["probabilities"][0]
    assert row["model_version"] == answer["model_version"]
    assert row["duration_ms"] > 0
    assert abs(row["time"] / 1e6 - time.time()) < 3600


@pytest.mark.slow
def test_mlflow_has_the_run_its_figure_the_version_and_the_alias(up, answer):
    api = up.urls["MLflow"] + "/api/2.0/mlflow"
    version = get(f"{api}/registered-models/alias?name={SCHEMA.name}&alias=champion")["model_version"]
    assert version["version"] == answer["model_version"]
    run = get(f"{api}/runs/get?run_id={version['run_id']}")["run"]
    assert run["info"]["status"] == "FINISHED"
    assert run["data"]["metrics"]
    assert run["data"]["params"]

    def files(folder: str = "") -> Iterator[str]:
        listed = get(f"{api}/artifacts/list?run_id={version['run_id']}&path={folder}")
        for file in listed.get("files", []):
            if file.get("is_dir"):
                yield from files(file["path"])
            else:
                yield file["path"]

    kept = list(files())
    assert [f for f in kept if f.endswith((".html", ".png"))], "a figure"
    assert [f for f in kept if f.endswith(".ipynb")], "the executed notebook"
    assert [f for f in kept if f.endswith("model.onnx")], "the bundle"


@pytest.mark.slow
@pytest.mark.browser
def test_the_dashboard_shows_the_row_in_a_real_browser(up, answer, visit):
    page = visit(up.urls["dashboard"])
    page.locator(f"a[data-row='{answer['prediction_ids'][0]}']").wait_for()


@pytest.mark.slow
def test_a_taken_port_is_one_sentence(up):
    second = subprocess.run(["make", "up"], cwd=ROOT, env=up.environ, capture_output=True, text=True)
    assert second.returncode != 0
    assert "Traceback" not in second.stderr
    for program in PROGRAMS:
        assert f"Port {up.environ[program.variable]} ({program.title}) is taken" in second.stderr


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything_and_a_second_start_does_not_train_again(up, signum):
    "The last test of this module: it stops what the others use, twice."
    if up.process.poll() is not None:
        up.lines.clear()
        up.start()
        assert "No model was promoted" not in "".join(up.lines)
    up.stop(signum)
    assert "Traceback" not in up.lines[-1]
    wait_until(lambda: not left_behind(up.home), "no process of it is left")


def test_up_without_a_repository_says_where_to_run_it(tmp_path):
    program = Path(sys.executable).parent / "iris-nb"
    done = subprocess.run([program, "up"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "root of the repository" in done.stderr
