"""The monitoring notebook also runs without Voila, as it does in JupyterLab."""

from pathlib import Path

import nbclient
import nbformat

NOTEBOOK = Path(__file__).parents[2] / "nbs" / "dashboard" / "monitoring.ipynb"


def run(home, monkeypatch):
    monkeypatch.setenv("IRIS_HOME", str(home))
    monkeypatch.setenv("IPYTHONDIR", str(home / "ipython"))
    monkeypatch.delenv("VOILA_PREHEAT", raising=False)
    notebook = nbformat.read(NOTEBOOK, 4)
    client = nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120)
    client.execute(cwd=str(NOTEBOOK.parent))
    return notebook


def said(notebook):
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type in ("error", "stream")]
    states = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"].values()
    return " ".join(str(state["state"].get("value", "")) for state in states)


def test_it_runs_with_nothing_to_show(tmp_path, monkeypatch):
    text = said(run(tmp_path, monkeypatch))
    assert "There is no audit log" in text
    assert "No model has been promoted yet" in text


def test_it_runs_with_a_log_and_a_champion(home, flowers, monkeypatch):
    flowers(40)
    assert "40 predictions in the log" in said(run(home, monkeypatch))
