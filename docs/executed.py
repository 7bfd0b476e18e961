"""Run the pipeline once and keep its notebooks with their outputs, so that the site shows what a training shows.

The pipeline's notebooks are stored without outputs, since a training replaces them. Here papermill runs them in a home
folder of their own, which is removed; no model, log or store of this machine is touched.
"""

import shutil
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat

from docs.names import NBS
from docs.pages import EXECUTED, PLOTLY

#: In the order in which they build on each other, with what is bounded so that it takes a minute or two.
PIPELINE: dict[str, dict[str, Any]] = {
    "pipeline/10_explore.ipynb": {},
    "pipeline/20_train.ipynb": {"minutes": 2.0},
    "pipeline/30_promote.ipynb": {},
}
CELL_TIMEOUT = 300  # seconds
WIDGET = "application/vnd.jupyter.widget-view+json"  # a bar that fills while it runs
SHOWN = {"text/plain", "text/html", "text/markdown", PLOTLY}


def shown(nb: Any, home: str) -> Any:
    "Return an executed notebook without this machine's paths, progress bars and papermill's values."
    nb.cells = [cell for cell in nb.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs = [kept for output in cell.outputs if (kept := of_readers(output, home))]
    return nb


def of_readers(output: Any, home: str) -> Any:
    "Return an output without what is of this run alone; None where nothing is left."
    if output.output_type == "stream":
        output.text = output.text.replace(home, "var")
        return output if output.name == "stdout" else None
    data = {kind: value for kind, value in output.get("data", {}).items() if kind in SHOWN}
    if WIDGET in output.get("data", {}):
        return None
    output.data = {k: v.replace(home, "var") if isinstance(v, str) else v for k, v in data.items()}
    return output if data else None


def run(to: Path = EXECUTED) -> None:
    "Run the pipeline's notebooks and keep them in a folder; raises `RunError` where one fails."
    from iris_nb.train.runner import execute

    shutil.rmtree(to, ignore_errors=True)
    with TemporaryDirectory() as home:
        for name, parameters in PIPELINE.items():
            begun = time.monotonic()
            done = execute(NBS / name, parameters, Path(home), progress=False, cell_timeout=CELL_TIMEOUT)
            target = to / name
            target.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(shown(nbformat.read(done.notebook, 4), str(Path(home).resolve())), target)
            print(f"{name} ran in {time.monotonic() - begun:.0f} s.", flush=True)


def main() -> int:
    run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
