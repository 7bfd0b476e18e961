"""The programs are started together, or a sentence says why not."""

import os
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from click.testing import CliRunner

from iris_nb.cli import cli
from iris_nb.run.programs import Program, _wait_for


@pytest.mark.parametrize("command", ["up", "wait"])
def test_a_port_that_is_no_number_is_one_sentence(champion_home, monkeypatch, command):
    monkeypatch.setenv("IRIS_PORT", "eighty")
    done = CliRunner().invoke(cli, [command])
    assert (done.exit_code, "IRIS_PORT" in done.output) == (1, True)


def test_where_the_first_training_fails_nothing_is_started(tmp_path, monkeypatch):
    monkeypatch.setenv("IRIS_HOME", str(tmp_path))
    monkeypatch.setattr("iris_nb.run.programs._port_faults", lambda wanted: [])
    failed = subprocess.CompletedProcess([], 3)
    monkeypatch.setattr("iris_nb.run.programs.subprocess.run", lambda *words, **options: failed)
    assert CliRunner().invoke(cli, ["up", "serve"]).exit_code == 3


@pytest.fixture
def started(champion_home, monkeypatch) -> list[str]:
    "The names of the programs that `up` would have started."
    names: list[str] = []
    monkeypatch.setattr("iris_nb.run.programs._port_faults", lambda wanted: [])
    monkeypatch.setattr("iris_nb.run.programs._run_together", lambda commands, environ: names.extend(commands))
    return names


def test_all_programs_are_started_where_none_is_named(started, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    CliRunner().invoke(cli, ["up"])
    assert started == ["serve", "dashboard", "mlflow", "wait"]


def test_with_a_tracking_server_elsewhere_its_pages_are_named_and_no_empty_ones_are_shown(started, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
    done = CliRunner().invoke(cli, ["up"])
    assert "https://mlflow.example" in done.output
    assert started == ["serve", "dashboard", "wait"]


def test_the_programs_get_the_same_home_from_whatever_folder_they_run(champion_home, monkeypatch, started):
    given: dict[str, str] = {}
    monkeypatch.setattr("iris_nb.run.programs._run_together", lambda commands, environ: given.update(environ))
    monkeypatch.setenv("IRIS_HOME", os.path.relpath(champion_home))
    CliRunner().invoke(cli, ["up"])
    assert given["IRIS_HOME"] == str(champion_home)


def test_waiting_for_the_dashboard_never_asks_for_its_page():
    "Each request for the page starts a kernel, and there is room for few."
    asked: list[str] = []

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        program = Program("dashboard", "dashboard", "IRIS_DASHBOARD_PORT", server.server_port)
        assert list(_wait_for([program], 30)) == [program]
        server.shutdown()
    assert asked == ["/voila/static/favicon.ico"]
