"""Notebooks as programs: what is refused before it starts, and what is left of a run however it ends."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from papermill.exceptions import PapermillExecutionError

from iris_nb.train.runner import RunError, check_parameters, execute, notebook_parameters
from iris_nb.train.tracking import connect, load_artifact, runs
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "notebooks"
PIPELINE = sorted((ROOT / "nbs" / "pipeline").glob("*.ipynb"))
names = {"ids": lambda p: p.stem}

# MLflow 3.17 asks SQLAlchemy 2.1 for a way of loading that it deprecates.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning"),
]


def test_an_unknown_parameter_is_an_error_that_lists_those_there_are():
    with pytest.raises(RunError) as error:
        check_parameters(HERE / "every_type_of_parameter.ipynb", {"txet": "a"})
    said = str(error.value)
    assert "It has no parameter 'txet'." in said
    assert all(name in said for name in ("text = 'a'  words", "whole = 1", "share = 0.5", "yes = False"))


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("text", 3, "str"),
        ("whole", "3", "int"),
        ("whole", 0.5, "int"),
        ("whole", True, "int"),
        ("share", "much", "float"),
        ("share", True, "float"),
        ("yes", 1, "bool"),
        ("yes", None, "bool"),
    ],
)
def test_a_parameter_of_the_wrong_type_is_an_error(name, value, kind):
    with pytest.raises(RunError, match=f"{name} must be {kind}, got "):
        check_parameters(HERE / "every_type_of_parameter.ipynb", {name: value})


@pytest.mark.parametrize(("name", "text"), [("whole", "many"), ("whole", "1.5"), ("share", "half"), ("yes", "perhaps")])
def test_a_typed_word_that_means_nothing_is_an_error(name, text):
    with pytest.raises(RunError, match=f"{name} must be "):
        check_parameters(HERE / "every_type_of_parameter.ipynb", {}, {name: text})


def test_typed_words_become_what_the_defaults_are():
    texts = {"text": "7", "whole": "7", "share": "7", "yes": "True"}
    values = check_parameters(HERE / "every_type_of_parameter.ipynb", {}, texts)
    assert values == {"text": "7", "whole": 7, "share": 7.0, "yes": True}


def test_every_wrong_parameter_is_named_at_once():
    with pytest.raises(RunError) as error:
        check_parameters(HERE / "every_type_of_parameter.ipynb", {"whole": "3", "txet": 1}, {"yes": "perhaps"})
    assert str(error.value).count(" must be ") == 2
    assert "'txet'" in str(error.value)


def test_a_notebook_without_the_tag_is_an_error():
    with pytest.raises(RunError, match="none of its cells is tagged 'parameters'"):
        notebook_parameters(HERE / "without_parameters.ipynb")


@pytest.mark.parametrize("content", [None, "This is no notebook."])
def test_what_is_no_notebook_is_an_error(tmp_path, content):
    path = tmp_path / "train.ipynb"
    if content:
        path.write_text(content)
    with pytest.raises(RunError, match="can't be read"):
        notebook_parameters(path)


@pytest.mark.parametrize("path", PIPELINE, **names)
def test_the_parameters_tag_survives_nbdev_clean(path, tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "nbs").mkdir()
    copy = Path(shutil.copy(path, tmp_path / "nbs"))
    subprocess.run([Path(sys.executable).parent / "nbdev-clean", "--fname", copy], cwd=tmp_path, check=True)
    assert notebook_parameters(copy) == notebook_parameters(path)
    tagged = [c for c in nbformat.read(copy, 4).cells if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1


@pytest.mark.parametrize("path", PIPELINE, **names)
def test_every_parameter_says_what_it_is_for(path):
    assert all(about for _, about in notebook_parameters(path).values())


def test_values_reach_the_notebook(tmp_path):
    done = execute(HERE / "every_type_of_parameter.ipynb", {"text": "b", "share": 2}, tmp_path, progress=False)
    assert nbformat.read(done.notebook, 4).cells[-1].outputs[0].text == "'b' 1 2 False\n"
    assert done.notebook.parent == tmp_path / "runs"


def test_the_table_can_be_explored_as_a_test(tmp_path):
    done = execute(ROOT / "nbs" / "pipeline" / "10_explore.ipynb", {}, tmp_path, progress=False)
    assert "The table is what it should be." in done.notebook.read_text()


def test_a_failing_cell_marks_the_run_and_keeps_the_notebook_as_far_as_it_got(tmp_path):
    with pytest.raises(RunError, match="failed with AssertionError: 3 rows are too many"):
        execute(HERE / "failing_cell.ipynb", {}, tmp_path, progress=False)
    tracker = connect(tmp_path)
    (run,) = runs(tracker)
    assert run.status == "FAILED"
    (notebook,) = (tmp_path / "runs").iterdir()
    text = load_artifact(tracker, run.run_id, f"notebook/{notebook.name}").decode()
    assert "before the failure" in text
    assert text == notebook.read_text()
    assert not nbformat.read(notebook, 4).cells[-1].outputs


def test_a_cell_that_does_not_end_is_stopped_and_named(tmp_path):
    given = {"started": str(tmp_path / "started")}
    expected = r"^Cell 3 \(import time\) of endless_cell.ipynb did not end within 3 seconds.\nThe notebook"
    with pytest.raises(RunError, match=expected):
        execute(HERE / "endless_cell.ipynb", given, tmp_path, progress=False, cell_timeout=3)
    tracker = connect(tmp_path)
    (run,) = runs(tracker)
    assert run.status == "FAILED"
    (notebook,) = (tmp_path / "runs").iterdir()
    assert load_artifact(tracker, run.run_id, f"notebook/{notebook.name}").decode() == notebook.read_text()


@pytest.mark.parametrize(
    "sign",
    [KeyboardInterrupt(), PapermillExecutionError(0, 1, "", "KeyboardInterrupt", "", [])],
    ids=["ours", "cell's"],
)
def test_a_run_interrupted_before_its_first_cell_is_marked_killed_too(tmp_path, monkeypatch, sign):
    def interrupted(*_: object, **__: object) -> None:
        raise sign

    monkeypatch.setattr("papermill.execute_notebook", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute(HERE / "every_type_of_parameter.ipynb", {}, tmp_path, progress=False)
    (run,) = runs(connect(tmp_path))
    assert run.status == "KILLED"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_marked_killed_and_leaves_no_process(tmp_path, sent):
    started, home = tmp_path / "started", tmp_path / "home"
    code = f"""
import iris_nb.train.commands as training
from pathlib import Path
from iris_nb.cli import main
training._PIPELINE = Path({str(HERE)!r})
main(lambda **options: training._run_notebook("endless_cell.ipynb", {{"started": {str(started)!r}}}, {{}}))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "IRIS_HOME": str(home)},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: started.exists() or process.poll() is not None, "the cell runs", 120)
    assert process.poll() is None, process.stderr and process.stderr.read()
    process.send_signal(sent)
    try:
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()  # what hangs is a failure, and no reason to stay
    assert process.returncode == 130
    assert "Interrupted." in said
    assert "Traceback" not in said
    (run,) = runs(connect(home))
    assert run.status == "KILLED"
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def notebook_of(path, *cells):
    "Write a notebook without parameters of its own."
    parameters = nbformat.v4.new_code_cell('run_id: str = ""  # of the run', metadata={"tags": ["parameters"]})
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "python3"}}
    made = nbformat.v4.new_notebook(cells=[parameters, *map(nbformat.v4.new_code_cell, cells)], metadata=kernel)
    nbformat.write(made, path)
    return path


def test_a_kernel_that_the_system_ended_is_a_sentence_about_memory(tmp_path):
    notebook = notebook_of(tmp_path / "dies.ipynb", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(RunError, match="was ended from outside, most likely because memory ran out"):
        execute(notebook, {}, tmp_path, progress=False)
    (run,) = runs(connect(tmp_path))
    assert run.status == "FAILED"


def test_the_notes_of_a_notebook_are_passed_on_and_nothing_else(tmp_path):
    heard = []
    notebook = notebook_of(tmp_path / "says.ipynb", "print('150 rows')\nprint('Note: about a minute')\nprint('done')")
    execute(notebook, {}, tmp_path, progress=False, say=heard.append)
    assert heard == ["about a minute"]


def test_a_run_that_fails_and_was_deleted_meanwhile_says_why_it_failed(tmp_path):
    code = "from pathlib import Path\nfrom iris_nb.train.tracking import connect\n"
    code += f"connect(Path({str(tmp_path)!r})).client.delete_run(run_id)\nassert False, 'the first reason'"
    with pytest.raises(RunError, match="the first reason"):
        execute(notebook_of(tmp_path / "gone.ipynb", code), {}, tmp_path, progress=False)
