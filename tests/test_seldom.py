"""What seldom happens to the library: damaged bundles, empty tables, nobody who answers."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import ipywidgets as widgets
import numpy as np
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from iris_nb.audit.chain import parse_position
from iris_nb.bundle import read_bundle, write_bundle
from iris_nb.cli import cli, main
from iris_nb.client import Reply
from iris_nb.dashboard.snapshot import row_of
from iris_nb.dashboard.status import service_state, up_light
from iris_nb.dashboard.traffic import lead, what_if
from iris_nb.dashboard.widgets import filled, update_options
from iris_nb.monitor.quality import calibrate, expected
from iris_nb.predict.commands import describe
from iris_nb.predict.explain import _log_odds_slopes, counterfactual, counterfactual_sentence
from iris_nb.predict.predictor import conformal_threshold
from iris_nb.run.servers import exposure, notebook_folder, voila_command
from iris_nb.table import SCHEMA
from iris_nb.train.candidates import build, candidate
from iris_nb.train.data import arrays, load
from iris_nb.train.evidence import coefficients

FIRST = f"{SCHEMA.name}_test-1"


@pytest.fixture
def home(tmp_path: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    "A home with a champion, which the commands take for theirs."
    shutil.copytree(bundles, tmp_path / "bundles")
    monkeypatch.setenv("IRIS_HOME", str(tmp_path))
    monkeypatch.delenv("IRIS_DATABASE_URL", raising=False)
    return tmp_path


def test_a_bundle_without_calibration_scores_promises_no_sets(home, tmp_path):
    whole = read_bundle(home / "bundles" / FIRST)
    assert "in a set" in dict(describe(whole))
    folder = write_bundle(tmp_path / "other", whole.card, whole.onnx, whole.golden, whole.reference)
    assert "in a set" not in dict(describe(read_bundle(folder)))


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1])
def test_a_share_of_errors_lies_between_none_and_all(alpha):
    with pytest.raises(ValueError, match="between 0 and 1"):
        conformal_threshold(np.array([0.1]), alpha)


def test_a_model_without_coefficients_has_none_to_show():
    assert coefficients(build(candidate("qda"))) is None


def test_no_answers_have_no_accuracy():
    estimate = expected([], calibrate([0.9, 0.8], [True, False]))
    assert np.isnan(estimate.value)
    assert (estimate.low, estimate.high) == (0.0, 1.0)


def test_a_declaration_needs_a_feature():
    with pytest.raises(ValueError, match="it has no features"):
        replace(SCHEMA, features=())


def run(*words: str):
    return CliRunner().invoke(cli, list(words))


def test_the_watch_judges_what_was_simulated_and_leaves_its_report(home):
    run("simulate", "--past", "60", "--rate", "0.1", "--seed", "1")
    done = run("watch")
    assert done.exit_code in (0, 1)
    assert (home / "watch.json").is_file()


def test_the_page_is_looked_for_in_the_clone_and_opened_where_it_is_said(tmp_path, monkeypatch):
    command = voila_command(tmp_path, {"IRIS_DASHBOARD_HOST": "0.0.0.0"})
    assert "--Voila.ip=0.0.0.0" in command
    assert "IRIS_DASHBOARD_TOKEN" in exposure({"IRIS_DASHBOARD_HOST": "0.0.0.0"})
    monkeypatch.setattr("iris_nb.run.servers.iris_nb.__file__", str(tmp_path / "iris_nb" / "__init__.py"))
    with pytest.raises(Exception, match="start this in a clone"):
        notebook_folder(tmp_path)


def test_the_page_takes_the_place_of_the_command(monkeypatch):
    called = []
    monkeypatch.setattr("os.execve", lambda *words: called.append(words))
    monkeypatch.delenv("IRIS_DASHBOARD_HOST", raising=False)
    assert run("dashboard").output == ""
    assert called[0][1][1:3] == ["-m", "iris_nb.run.page_server"]


def test_a_file_without_faults_leaves_none_aside(home, tmp_path):
    rows = [",".join(SCHEMA.names), ",".join(str(SCHEMA.example[name]) for name in SCHEMA.names)]
    (tmp_path / "in.csv").write_text("\n".join(rows) + "\n")
    done = run("score", str(tmp_path / "in.csv"), "-o", str(tmp_path / "out.csv"), "--quiet")
    assert done.exit_code == 0, done.output
    assert "1 rows answered" in done.output
    assert "aside" not in done.output


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
def test_a_number_or_address_that_makes_no_sense_is_refused(home, words):
    done = run(*words)
    assert done.exit_code == 2, done.output
    assert "Invalid value for" in done.output
    assert not (home / "audit.db").exists()


@pytest.mark.parametrize(
    ("table", "target", "said"),
    [
        (",".join([*SCHEMA.names, "id", "id"]).encode() + b"\n", "out.csv", "more than one column 'id'"),
        ("caf\xe9\n".encode("latin-1"), "out.csv", "not UTF-8"),
        (",".join(SCHEMA.names).encode(), "nowhere/out.csv", "no folder"),
        (",".join(SCHEMA.names).encode(), "folder.csv", "a folder itself"),
    ],
    ids=["a name twice", "not utf-8", "no folder", "a folder"],
)
def test_what_can_not_be_scored_is_said_before_the_first_row(home, table, target, said):
    (home / "folder.csv").mkdir()
    (home / "in.csv").write_bytes(table)
    done = run("score", str(home / "in.csv"), "-o", str(home / target), "--quiet")
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert said in done.output


@pytest.mark.parametrize("verb", ["runs", "rollback", "watch"])
def test_a_home_that_is_a_file_is_named(tmp_path, monkeypatch, capsys, verb):
    (tmp_path / "notes.txt").write_text("no folder")
    monkeypatch.setenv("IRIS_HOME", str(tmp_path / "notes.txt"))
    with pytest.raises(SystemExit) as end:
        main(lambda **options: cli([verb], **options))
    assert end.value.code == (3 if verb == "watch" else 1)  # 1 would be an alarm
    assert f": {tmp_path}/notes.txt" in capsys.readouterr().err


def test_the_tracking_server_that_was_named_is_the_one_that_is_used(tmp_path):
    named = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'elsewhere.db'}", "IRIS_HOME": str(tmp_path / "home")}
    program = Path(sys.executable).parent / "iris-nb"
    done = subprocess.run([program, "runs"], env={**os.environ, **named}, capture_output=True, text=True)
    assert "No runs yet" in done.stdout, done.stderr
    assert (tmp_path / "elsewhere.db").is_file()
    assert not (tmp_path / "home" / "mlflow.db").exists()


def test_without_a_change_that_turns_the_answer_it_is_said():
    assert counterfactual_sentence(None, SCHEMA.example, SCHEMA).startswith("No change of a single feature")


def test_the_change_that_is_named_turns_every_answer():
    X, y = arrays(load())
    model = build(candidate("lda")).fit(X, y)
    for x in X:
        flip = counterfactual(model.predict_proba, X, x, SCHEMA)
        sentence = counterfactual_sentence(flip, dict(zip(SCHEMA.names, x, strict=True)), SCHEMA)
        words = sentence.split()
        changed = x.copy()
        changed[SCHEMA.names.index(flip.feature)] = float(words[words.index("of") + 1])
        assert SCHEMA.classes[model.predict_proba(changed[None]).argmax()] == flip.answer, sentence


def test_a_model_that_is_certain_everywhere_has_no_slopes():
    def certain(X: np.ndarray) -> np.ndarray:
        return np.tile([1.0, 0.0, 0.0], (len(X), 1))

    trained = np.random.default_rng(0).normal(size=(50, len(SCHEMA.names)))
    assert _log_odds_slopes(certain, trained, 0, 1) is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]"])
def test_what_is_no_problem_report_gives_the_status_as_its_reason(body):
    assert Reply(502, body).reason == "The service answered 502."


def test_a_service_that_is_unwell_is_said_to_be():
    assert "It says it is degraded" in up_light({"status": "degraded"}, "http://here")
    assert "Nothing answers at http://here" in up_light(None, "http://here")


@pytest.fixture
def said(request: pytest.FixtureRequest) -> Iterator[str]:
    "The address of a service that answers every path with one status and body."
    status, body = request.param

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ((200, b'{"status": "healthy"}'), {"status": "healthy"}),
        ((503, b"{}"), {"status": "HTTP 503"}),
        ((200, b"<"), None),
    ],
    indirect=["said"],
)
def test_what_the_service_says_of_itself_is_read_or_not_there(said, state):
    assert service_state(said, seconds=10) == state


def test_an_empty_log_and_a_missing_champion_are_said_on_the_page():
    assert "The log is empty" in lead(None, 0, [])
    assert "No model has been promoted yet" in what_if(None, {})[0]


def test_no_id_is_no_row_and_opens_no_log(tmp_path):
    assert row_of(f"sqlite:///{tmp_path / 'nowhere.db'}", "") is None


def test_a_list_that_offers_the_same_again_is_left_alone():
    control = widgets.Dropdown(options=[("all", "")], value="")
    update_options(control, ["a"])
    before = control.options
    update_options(control, ["a"])
    assert control.options is before


def test_a_control_is_put_on_the_page_as_it_is():
    button = widgets.Button()
    assert filled(widgets.HTML(), button) is button


@pytest.mark.parametrize("text", ["", "3", "3:abc", f"x:{'0' * 64}"])
def test_what_is_no_place_in_the_chain_is_refused(text):
    with pytest.raises(ValueError, match="no place in a chain"):
        parse_position(text)


def test_a_log_that_is_not_there_is_one_sentence_and_pruning_asks_first(home):
    done = CliRunner().invoke(cli, ["audit", "verify"])
    assert (done.exit_code, "There is no log at" in done.output) == (1, True)
    Path(home / "audit.db").touch()
    done = CliRunner().invoke(cli, ["audit", "prune", "--older-than", "1"], input="n\n")
    assert "for good?" in done.output
    assert (home / "audit.db").stat().st_size == 0


def test_a_shell_can_complete_the_verbs():
    found = ShellComplete(cli, {}, "iris-nb", "_IRIS_NB_COMPLETE").get_completions([], "tr")
    assert [item.value for item in found] == ["train"]
