"""The watch says what it could not judge, in words and by its exit code."""

import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

from iris_nb.audit.log import AuditLog, Entry
from iris_nb.bundle import champion
from iris_nb.cli import cli
from iris_nb.monitor import watch as module
from iris_nb.monitor.report import ORDER
from iris_nb.monitor.watch import _CODES, _FAILED, watch
from iris_nb.predict.predictor import Predictor
from iris_nb.schema import decode_row
from iris_nb.table import SCHEMA

HALF = "half"  # of the reference, drawn by lot since a table may be sorted by anything: a window like training


@pytest.fixture
def watched(tmp_path, bundles):
    "Logs rows of the reference by their numbers and runs the watch; gives its exit code and its first line."
    shutil.copytree(bundles, tmp_path / "bundles")
    predictor = Predictor.load(champion(bundles))

    def run(numbers):
        X = predictor.bundle.reference[0]
        X = np.random.default_rng(1).permutation(X)[: len(X) // 2] if numbers == HALF else X[numbers]
        P, now = predictor.probabilities(X), time.time_ns() // 1000 - 60_000_000
        with AuditLog.open(tmp_path / "audit.db") as log:
            for i, (x, p) in enumerate(zip(X.tolist(), P.tolist(), strict=True)):
                label, row = SCHEMA.classes[p.index(max(p))], list(decode_row(SCHEMA, x).values())
                log.append(
                    [Entry(f"{now + i}-00000", f"r{i}", now + i, "m", "1", 1.0, None, [row], [label], [max(p)], [p])]
                )
        done = CliRunner().invoke(watch, [], env={"IRIS_HOME": str(tmp_path)})
        return done.exit_code, done.output.splitlines()[0]

    return run


def test_a_window_like_training_is_good(watched):
    code, line = watched(HALF)
    assert (code, line.rpartition(": ")[2]) == (0, "good")


def test_the_same_row_again_and_again_is_not_good(watched):
    code, line = watched([0] * 40)
    assert (code, line.rpartition(": ")[2]) == (3, "unsure, drift could not be judged")


def test_a_single_row_is_judged_by_nobody(watched):
    code, line = watched([0])
    assert "1 row (24h)" in line
    assert (code, line.rpartition(": ")[2]) == (3, "unsure, drift and accuracy could not be judged")


def test_an_alarm_outweighs_what_could_not_be_judged(watched):
    code, line = watched([0, 1, 2, 3, 4] * 8 + list(range(30)))  # one class only
    assert code == 1
    assert ": alarm" in line


def test_a_wrong_command_line_and_an_unsure_verdict_have_different_exit_codes(watched):
    wrong = CliRunner().invoke(watch, ["--window", "yesterday"]).exit_code
    assert wrong == 2
    assert wrong not in _CODES.values()
    assert _FAILED not in (wrong, *_CODES.values())
    assert len(set(_CODES.values())) == len(ORDER)


#: Ends with the verdict's exit code; an import of what draws fails, and none is in the list of modules at the end.
WITHOUT_A_PAGE = """
import sys
for name in ("ipywidgets", "plotly", "voila", "IPython", "jupyter_client", "iris_nb.dashboard", "iris_nb.charts"):
    sys.modules[name] = None
from click.testing import CliRunner
from iris_nb.monitor.watch import watch
done = CliRunner().invoke(watch, [])
loaded = {name.split(".")[0] for name, module in sys.modules.items() if module is not None}
assert not loaded & {"ipywidgets", "plotly", "voila", "IPython", "mlflow", "sklearn"}, loaded
print(done.output, end="")
sys.exit(done.exit_code)
"""


def test_the_watch_needs_neither_widgets_nor_figures_nor_a_page(watched, tmp_path):
    watched(HALF)
    environ = {**os.environ, "IRIS_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", WITHOUT_A_PAGE], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].endswith(": good")


def test_the_watch_judges_what_was_simulated_and_leaves_its_report(champion_home):
    CliRunner().invoke(cli, ["simulate", "--past", "60", "--rate", "0.1", "--seed", "1"])
    done = CliRunner().invoke(watch, [])
    assert done.exit_code in (0, 1)
    assert (champion_home / "watch.json").is_file()


@pytest.mark.parametrize(("numbers", "expected"), [(HALF, _FAILED), (slice(30), _CODES["alarm"])])
def test_a_report_that_can_not_be_written_is_no_alarm_and_hides_none(watched, tmp_path, numbers, expected):
    (tmp_path / "watch.json").mkdir()
    code, line = watched(numbers)
    assert code == expected
    assert "rows (24h)" in line


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device", "audit.db"), ValueError("a bug"), MemoryError()]
)
def test_what_ends_the_watch_is_no_alarm(champion_home, monkeypatch, error):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(module, "report_of", fail)
    done = CliRunner().invoke(cli, ["watch"])
    assert done.exit_code == _FAILED
    assert "Nothing could be judged: " in done.output


def test_a_setting_that_can_not_be_used_is_no_alarm(monkeypatch):
    monkeypatch.setenv("IRIS_HOME", "what?")
    assert CliRunner().invoke(cli, ["watch"]).exit_code == _FAILED
