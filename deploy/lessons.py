"""Run the lesson cells against the exported modules, so that coverage sees them: `make coverage`.

`nbdev_test` runs a notebook's own definitions. Here the cells that export are left out and the module's names stand in
for them: what a lesson shows is then counted where it is shipped.
"""

import importlib
import os
import sys
from pathlib import Path

from execnb.shell import CaptureShell
from nbdev.process import NBProcessor

API = Path(__file__).parents[1] / "nbs" / "api"


def directives(cell: object) -> dict[str, list[str]]:
    return getattr(cell, "directives_", {}) or {}


def left_out(cell: object) -> bool:
    "Prose, what is exported, and what is not to be run."
    said = directives(cell)
    exported = any(name.startswith("export") for name in said)
    prose = getattr(cell, "cell_type", "") != "code"
    return prose or exported or said.get("eval:", [""])[0].lower() == "false"


def run(path: Path) -> bool:
    "Run a notebook's lessons in its own folder, with its module's names; whether all of them went well."
    notebook = NBProcessor(path, process=True).nb
    names = [directives(cell).get("default_exp", [""])[0] for cell in notebook.cells]
    module = importlib.import_module(f"iris_nb.{next(filter(None, names))}")
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
