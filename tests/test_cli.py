"""The command line as a whole: quick, plain, and with exit codes that scripts can use."""

import os
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from iris_nb.bundle import BundleError
from iris_nb.cli import COMMANDS, Command, _find, _print_error, cli, main

ROOT = Path(__file__).parents[1]
PROGRAM = Path(sys.executable).parent / "iris-nb"
verbs = pytest.mark.parametrize("verb", COMMANDS, ids=lambda v: v.name)


def call(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *words], cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True)


def commands(command: click.Command) -> list[click.Command]:
    return list(command.commands.values()) if isinstance(command, click.Group) else [command]


def test_help_lists_every_verb_and_the_exit_codes():
    said = call("--help").stdout
    assert all(f"  {verb.name} " in said and verb.help in said for verb in COMMANDS)
    assert "3 the gate" in " ".join(said.split())


def test_help_imports_nothing_heavy():
    code = (
        "import sys, iris_nb.cli as c; c.cli(['--help'], standalone_mode=False); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert not loaded & {"mlflow", "sklearn", "pandas", "numpy", "papermill", "onnxruntime", "honcho", "sqlalchemy"}


@verbs
def test_a_verb_says_what_it_does_and_shows_an_example_where_it_takes_words(verb):
    for command in commands(_find(verb)):
        assert command.help, command.name
        assert "iris-nb" in (command.epilog or "") or not command.params, command.name


def test_no_verbs_module_loads_mlflow_before_it_is_needed():
    code = """
import sys
from iris_nb.cli import COMMANDS, _find
for verb in COMMANDS:
    _find(verb)
    print(*(f"{verb.name} loads {m}" for m in ("mlflow", "sklearn", "papermill") if m in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("words", [["tarin"], ["train", "--qiuck"], ["score"], ["runs", "-n", "few"]], ids=str)
def test_a_wrong_call_exits_with_2_and_says_what_is_wrong(words):
    done = call(*words)
    assert done.returncode == 2
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bundle", "show"], "There is no champion"),
        (["bundle", "verify", "nowhere"], "There is no folder nowhere"),
        (["rollback"], "There is no champion before this one"),
        (["score", "gone.csv", "-o", "out.csv"], "There is no champion yet"),
        (["train", "-p", "repaets", "2"], "It has no parameter 'repaets'"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_a_failure_exits_with_1_and_one_sentence(tmp_path, words, said):
    done = call(*words, IRIS_HOME=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "iris_nb.greetings", None)
    with pytest.raises(click.ClickException, match="'greet' needs "):
        _find(Command("greet", "iris_nb.greetings:greet", "Say hello."))


def test_our_own_errors_are_printed_as_they_are(capsys):
    assert _print_error(BundleError("It is broken.")) == 1
    assert capsys.readouterr().err == "Error: It is broken.\n"


def test_a_defect_is_printed_with_a_hint_and_no_traceback(capsys, monkeypatch):
    monkeypatch.delenv("IRIS_DEBUG", raising=False)
    with pytest.raises(SystemExit) as end:
        main(lambda **options: 1 / 0)
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in said
    assert "IRIS_DEBUG=1" in said


def test_iris_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("IRIS_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(lambda **options: 1 / 0)


def test_a_file_where_a_folder_should_be_is_a_sentence_and_no_bug(capsys):
    assert _print_error(NotADirectoryError(20, "Not a directory", "notes.txt")) == 1
    assert capsys.readouterr().err.startswith("Error: notes.txt can't be used")


def test_an_interrupt_exits_with_130(capsys):
    def interrupted(**options):
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        main(interrupted)
    assert end.value.code == 130


def test_an_interrupt_that_python_drops_ends_the_program_all_the_same():
    code = """
import signal, time
from iris_nb.cli import main
class Dropped:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
main(lambda **options: Dropped() and time.sleep(60))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr.strip() == "Interrupted."


def test_what_else_python_drops_is_told_as_before():
    code = """
from iris_nb.cli import main
class Fails:
    def __del__(self):
        raise ValueError("in a finaliser")
main(lambda **options: Fails())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ValueError: in a finaliser" in done.stderr


def test_a_commands_exit_code_is_the_programs():
    with pytest.raises(SystemExit) as end:
        main(lambda **options: sys.exit(3))
    assert end.value.code == 3


def test_the_version_is_the_packages():
    import iris_nb

    about = ConfigParser(delimiters=["="])
    about.read(ROOT / "settings.ini")
    assert iris_nb.__version__ == about["DEFAULT"]["version"]
    assert CliRunner().invoke(cli, ["--version"]).output.strip().endswith(iris_nb.__version__)


@pytest.mark.parametrize(
    "words",
    [
        ("runs", "-n", "-3"),
        ("audit", "prune", "--older-than", "99999999", "--yes"),
        ("simulate", "--past", "-5"),
        ("simulate", "--rate", "-1"),
        ("simulate", "--labels", "3"),
        ("simulate", "--seed", "-1"),
        ("simulate", "--url", "localhost:8000"),
        ("simulate", "--url", "http://localhost:port"),
    ],
    ids=" ".join,
)
def test_a_number_or_address_that_makes_no_sense_is_refused(champion_home, words):
    done = CliRunner().invoke(cli, list(words))
    assert done.exit_code == 2, done.output
    assert "Invalid value for" in done.output
    assert not (champion_home / "audit.db").exists()


@pytest.mark.parametrize("verb", ["runs", "rollback", "watch"])
def test_a_home_that_is_a_file_is_named(tmp_path, monkeypatch, capsys, verb):
    (tmp_path / "notes.txt").write_text("no folder")
    monkeypatch.setenv("IRIS_HOME", str(tmp_path / "notes.txt"))
    with pytest.raises(SystemExit) as end:
        main(lambda **options: cli([verb], **options))
    assert end.value.code == (3 if verb == "watch" else 1)  # 1 would be an alarm
    assert f": {tmp_path}/notes.txt" in capsys.readouterr().err


def test_a_shell_can_complete_the_verbs():
    found = ShellComplete(cli, {}, "iris-nb", "_IRIS_NB_COMPLETE").get_completions([], "tr")
    assert [item.value for item in found] == ["train"]
