"""With another table in its notebook, lessons and tests hold without another edit."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.another_table import copy_project, environment

#: Quick tests of each room that follows the declaration; none starts a server or a browser.
TESTS = [
    "tests/test_bundle.py",
    "tests/audit/test_sample.py",
    "tests/predict/test_batch.py",
    "tests/train/test_data.py",
    "tests/monitor/test_watch.py",
    "tests/dashboard/test_snapshot.py",
    "tests/serve/test_parsing.py",
    "tests/serve/test_schemas.py",
]
#: Quick lessons of each room; `make test` in such a copy runs all.
LESSONS = [
    "01_table",
    "03_bundle",
    "audit/04_log",
    "predict/00_predictor",
    "train/00_data",
    "monitor/02_quality",
    "dashboard/04_model_health",
    "run/03_simulate",
]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("other") / "project")


def run(root: Path, *words: str, seconds: float = 240) -> None:
    "Run a program of the copy; whatever it started ends with it, in time or not."
    with subprocess.Popen(
        [str(Path(sys.executable).parent / words[0]), *words[1:]],
        cwd=root,
        env=environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as program:
        try:
            said, _ = program.communicate(timeout=seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
    assert program.returncode == 0, said[-3000:]


def test_the_copy_is_about_something_else(other):
    code = "from iris_nb.table import SCHEMA, load_rows; assert SCHEMA.row == 'biopsy' and len(load_rows()) == 569"
    run(other, "python", "-c", code)


def test_the_tests_hold_for_another_table(other):
    run(other, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS)


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_holds_for_another_table(other, lesson):
    run(other, "nbdev-test", f"nbs/api/{lesson}.ipynb", "--n-workers", "0", seconds=120)
