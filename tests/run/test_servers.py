"""What `iris-nb dashboard` tells Voila in voila.json."""

import json
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from traitlets.config import Config
from voila.execute import VoilaExecutor

from iris_nb.run.page_server import PageServer, _cell_limit
from iris_nb.run.servers import _exposure, _voila_command, dashboard, notebook_folder

ROOT = Path(__file__).parents[2]


def test_a_cell_of_the_dashboard_has_a_limit_and_every_option_of_its_executor_exists():
    said = json.loads((ROOT / "nbs/dashboard/voila.json").read_text())["VoilaExecutor"]
    assert said["timeout"] > 0
    assert set(said) <= set(VoilaExecutor.class_trait_names(config=True))


def test_only_the_cell_that_waits_for_a_visitor_has_no_limit():
    cells = json.loads((ROOT / "nbs/dashboard/monitoring.ipynb").read_text())["cells"]
    limit = _cell_limit(300)
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert [s for s in sources if limit({"source": s}) != 300] == ["view = view_of(get_query_string())"]


def test_the_server_gives_the_limits_to_its_executor(monkeypatch):
    monkeypatch.setattr("voila.app.Voila.init_settings", lambda self: {})
    server = PageServer(config=Config({"VoilaExecutor": {"timeout": 7}}))
    server.init_settings()
    executor = VoilaExecutor(nbformat.v4.new_notebook(), config=server.config)
    assert executor._get_timeout({"source": "1 + 1"}) == 7
    assert executor._get_timeout({"source": "view_of(get_query_string())"}) is None


def test_the_page_is_looked_for_in_the_clone_and_opened_where_it_is_said(tmp_path, monkeypatch):
    command = _voila_command(tmp_path, {"IRIS_DASHBOARD_HOST": "0.0.0.0"})
    assert "--Voila.ip=0.0.0.0" in command
    assert "IRIS_DASHBOARD_TOKEN" in _exposure({"IRIS_DASHBOARD_HOST": "0.0.0.0"})
    monkeypatch.setattr("iris_nb.run.servers.iris_nb.__file__", str(tmp_path / "iris_nb" / "__init__.py"))
    with pytest.raises(Exception, match="start this in a clone"):
        notebook_folder(tmp_path)


def test_the_page_takes_the_place_of_the_command(monkeypatch):
    called = []
    monkeypatch.setattr("os.execve", lambda *words: called.append(words))
    monkeypatch.delenv("IRIS_DASHBOARD_HOST", raising=False)
    assert CliRunner().invoke(dashboard, []).output == ""
    assert called[0][1][1:3] == ["-m", "iris_nb.run.page_server"]
