"""The executed pipeline is shown without what is of one run or one machine alone."""

import json

from nbformat.v4 import new_code_cell, new_notebook, new_output

from docs import pages
from docs.executed import PIPELINE, shown
from docs.names import NBS
from docs.pages import PLOTLY, read_notebook


def test_paths_bars_warnings_and_injected_parameters_are_left_out():
    cells = [
        new_code_cell("home = '/tmp/x'", metadata={"tags": ["injected-parameters"]}),
        new_code_cell(
            "run()",
            outputs=[
                new_output("stream", name="stdout", text="written to /tmp/x/bundles"),
                new_output("stream", name="stderr", text="50%|#####     |"),
                new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "HBox()"}),
                new_output("display_data", {PLOTLY: {"data": []}, "image/png": "…"}),
            ],
        ),
    ]
    (cell,) = shown(new_notebook(cells=cells), "/tmp/x").cells
    text, figure = cell.outputs
    assert text.text == "written to var/bundles"
    assert set(figure.data) == {PLOTLY}


def test_every_notebook_of_the_pipeline_is_run():
    assert {NBS / name for name in PIPELINE} == set((NBS / "pipeline").glob("*.ipynb"))


def test_a_page_shows_the_executed_copy_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "EXECUTED", tmp_path)
    path = NBS / "pipeline/10_explore.ipynb"
    assert not any(cell.get("outputs") for cell in read_notebook(path).cells)
    (tmp_path / "pipeline").mkdir()
    copy = new_notebook(cells=[new_code_cell("1", outputs=[new_output("stream", text="ran")])])
    (tmp_path / "pipeline/10_explore.ipynb").write_text(json.dumps(copy))
    assert read_notebook(path).cells[0].outputs
