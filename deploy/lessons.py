"""Run the lesson cells against the exported modules, so that coverage sees them: `make coverage`.

`nbdev-test` runs a notebook's own definitions. Here the cells that export are left out and the module's names stand in
for them: what a lesson shows is then counted where it is shipped.
"""

import importlib
import os
import sys
from pathlib import Path

from execnb.shell import CaptureShell
from fastcore.nbio import NbCell
from nbdev.process import NBProcessor

API = Path(__file__).parents[1] / "nbs" / "api"


def left_out(cell: NbCell) -> bool:
    "Whether a cell is prose, is exported, or is not to be run."
    said = cell.directives_
    exported = any(name.startswith("export") for name in said)
    return cell.cell_type != "code" or exported or said.get("eval", "").lower() == "false"


def run(path: Path) -> bool:
    "Run a notebook's lessons in its own folder, with its module's names; whether all of them went well."
    notebook = NBProcessor(path, process=True).nb
    [name] = [cell.directives_["default_exp"] for cell in notebook.cells if "default_exp" in cell.directives_]
    module = importlib.import_module(f"iris_nb.{name}")
    shell = CaptureShell(path)
    shell.user_ns.update({name: value for name, value in vars(module).items() if not name.startswith("__")})
    os.chdir(path.parent)
    try:
        shell.run_all(notebook, exc_stop=True, preproc=left_out)
    except Exception:
        print(shell.prettytb(fname=path), file=sys.stderr)
        return False
    return True


def main(names: list[str]) -> int:
    os.environ["IN_TEST"] = "1"
    chosen = [path for path in sorted(API.rglob("[0-9]*.ipynb")) if not names or path.name in names]
    failed = [path.name for path in chosen if not run(path)]
    if failed:
        print(f"These lessons failed: {', '.join(failed)}", file=sys.stderr)
    return min(len(failed), 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
