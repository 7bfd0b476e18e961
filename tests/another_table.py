"""The project about something else: a copy of it in which the notebook of the table declares another one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

from tests.tables.worlds import WORLDS, World, add_costs

ROOT = Path(__file__).parents[1]

DECLARATION = """#| export
SCHEMA = Schema(
    name="biopsies",
    row="biopsy",
    features=(
        Number("radius", "µm", 1, 100, "Mean distance from the centre of a nucleus to its outline.", 14.1),
        Number("texture", "", 0, 200, "Standard deviation of the grey values.", 19.3),
        Number("smoothness", "", 0, 1, "Local variation of the radius.", 0.096),
        Number("concave_points", "", 0, 1, "Share of the outline that is concave.", 0.049),
        Number("worst_area", "µm²", 0, 20000, "Largest area of a nucleus.", 880),
    ),
    target="diagnosis",
    classes=("malignant", "benign"),
)"""

ROWS = """#| export
def load_rows() -> "pd.DataFrame":  # one row per example: the features in order, then the target
    "Return the Wisconsin biopsies (Street, Wolberg and Mangasarian, 1993)."
    import pandas as pd
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer(as_frame=True)
    columns = ["mean radius", "mean texture", "mean smoothness", "mean concave points", "worst area"]
    rows = pd.DataFrame(found.data[columns].to_numpy(), columns=list(SCHEMA.names))
    return rows.assign(diagnosis=[SCHEMA.classes[code] for code in found.target])"""


#: The nastiest names that a declaration accepts: words of Python, SQL, HTML, OpenAPI and MLflow, and very long ones.
NASTY_DECLARATION = """#| export
SCHEMA = Schema(
    name="None",
    row="Problem",
    features=(
        Number("class", "<b>", 0, 10, "A </script> and a | in \\"Markdown\\".", 5),
        Number("select", "%", 0, 10, "{name} of %(x)s", 5),
        Number("größe", "", 0, 10, "", 5),
        Number("x" * 63, "", 0, 10, "Long.", 5),
        Number("index", "", 0, 10, "Place.", 5),
    ),
    target="from",
    classes=("</script><b>|", "O'Brien\\"; DROP TABLE rows", "=1+1", "0", "null", "x" * 100),
)"""

NASTY_ROWS = """#| export
def load_rows() -> "pd.DataFrame":  # one row per example: the features in order, then the target
    "Return six clouds of points."
    import numpy as np
    import pandas as pd

    y = np.arange(240) % 6
    centres = np.random.default_rng(1).uniform(2, 8, (6, 5))
    X = np.clip(centres[y] + np.random.default_rng(0).normal(0, 0.7, (240, 5)), 0, 10)
    rows = pd.DataFrame(X, columns=list(SCHEMA.names))
    return rows.assign(**{SCHEMA.target: [SCHEMA.classes[code] for code in y]})"""


def declare(notebook: Path, declaration: str = DECLARATION, rows: str = ROWS) -> None:
    "Replace the declaration and the rows in the notebook of the table, and nothing else."
    cells = nbformat.read(notebook, 4)
    for begins, source in (("#| export\nSCHEMA = Schema(", declaration), ("#| export\ndef load_rows()", rows)):
        (cell,) = [c for c in cells.cells if c.source.startswith(begins)]
        cell.source = source
    nbformat.write(cells, notebook)


def environment(root: Path) -> dict[str, str]:
    "Return what programs of the copy see: its own library first, and no settings from outside."
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("IRIS_", "MLFLOW_", "IN_TEST"))}
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**outside, "PYTHONPATH": str(root), "PATH": tools}


def copy_files(root: Path) -> Path:
    "Copy the project's files to `root`, with the same environment."
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=20
    ).stdout
    for name in filter(lambda name: name and (ROOT / name).is_file(), listed.split("\0")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, root / name, follow_symlinks=False)
    (root / ".venv").symlink_to(Path(sys.executable).parents[1])
    return root


def copy_project(root: Path, declaration: str = DECLARATION, rows: str = ROWS) -> Path:
    "Make the copy below `root`, with the library exported from its notebooks."
    copy_files(root)
    declare(root / "nbs/api/01_table.ipynb", declaration, rows)
    subprocess.run(["nbdev-export"], cwd=root, env=environment(root), check=True, timeout=60)
    return root


def copy_declared(root: Path, world: World) -> Path:
    "Make the copy below `root` about a file, as its owner would: `iris-nb declare`, and costs where there are any."
    copy_files(root)
    words = ["declare", str(world.write(root)), "--target", world.target, "--row", world.row, "--force"]
    subprocess.run(["iris-nb", *words], cwd=root, env=environment(root), check=True, timeout=120)
    if world.costs:
        add_costs(root / "nbs/api/01_table.ipynb", world.costs)
    subprocess.run(["nbdev-export"], cwd=root, env=environment(root), check=True, timeout=60)
    return root


if __name__ == "__main__":  # python -m tests.another_table FOLDER [WORLD], then `make test` there
    folder, *names = sys.argv[1:]
    print(copy_declared(Path(folder), WORLDS[names[0]]) if names else copy_project(Path(folder)))
