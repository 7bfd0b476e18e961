"""Single rows of a mixed table: this service beside FastAPI with the fitted scikit-learn pipeline.

    .venv/bin/python -m bench.mixed [--repeat 3] [--seconds 5]

Twenty columns of every kind, with gaps, once with a linear model and once with boosted trees on either side. Both check
the row and have it on disk before the answer leaves. Only the ratios mean something. See bench/README.md.
"""

import argparse
import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from bench.harness import Heard, Server, call
from bench.peers import HERE, compare, prepare
from iris_nb.files.declaration import declare, schema_code
from iris_nb.files.survey import survey
from tests.another_table import copy_files, environment
from tests.another_table import declare as write_table
from tests.tables.worlds import MADE, made

COLUMNS = [*(f"reading_{i}" for i in range(1, 7)), *(f"count_{i}" for i in range(1, 5)), "switch_1", "switch_5",
           *(f"part_{i}" for i in range(3, 7)), "grade_1", "grade_2", "day_1", "day_3"]  # fmt: skip
ROWS = """#| export
def load_rows() -> "pd.DataFrame":
    "Return the rows of a file."
    from pathlib import Path

    from iris_nb.files.frame import read_rows

    return read_rows(Path({path!r}), SCHEMA)"""
CANDIDATES = {"linear": "logistic_regression", "trees": "boosted_trees"}


def ours(root: Path, table: Path, kind: str, row: dict[str, object]) -> Server:
    "Return this service with a model trained on the table in a copy of the project."
    schema = dataclasses.replace(declare(survey(table), "state").schema, goals=dataclasses.replace(MADE.goals, skill=0))
    copy = copy_files(root / f"copy_{kind}")
    lesson = copy / "nbs/api/01_table.ipynb"
    code = f"#| export\n{schema_code(schema)}"
    write_table(lesson, code, ROWS.format(path=str(table)))
    text = lesson.read_text().replace("import Number, Schema", "import Category, Date, Number, Schema, YesNo  # noqa")
    lesson.write_text(
        text.replace("schema import Feature, Schema", "schema import Category, Date, Number, Schema, YesNo")
    )
    environ = {**environment(copy), "IRIS_HOME": str(root / f"home_{kind}")}
    effort = {"candidates": CANDIDATES[kind], "repeats": "1", "splits": "5", "coverage_splits": "0"}
    settings = [word for name, value in effort.items() for word in ("-p", name, value)]
    for command in (["nbdev-export"], [str(Path(sys.executable).parent / "iris-nb"), "train", *settings]):
        done = subprocess.run(command, cwd=copy, env=environ, capture_output=True, text=True)
        if done.returncode not in (0, 3):
            raise SystemExit(done.stdout + done.stderr)
    print(done.stdout.strip().splitlines()[0], flush=True)
    port = "8193" if kind == "linear" else "8194"
    command = ["env", "-C", str(copy), sys.executable, "-m", "serve"]
    return Server("iris_nb", command, f"http://127.0.0.1:{port}", "/predict", row,
                  environ={**environ, "IRIS_PORT": port, "PYTHONPATH": str(copy)})  # fmt: skip


def fastapi(root: Path, table: Path, kind: str, row: dict[str, object]) -> Server:
    "Return FastAPI with the pipeline, fitted on the same table."
    folder, model = prepare("reference"), root / f"{kind}.joblib"
    subprocess.run([folder / "bin" / "python", HERE / "fit_mixed.py", table, "state", kind, model], check=True)
    command = [str(folder / "bin" / "uvicorn"), "mixed_app:app", "--port", "8192", "--log-level", "warning"]
    environ = {"MODEL": str(model), "DATABASE": str(root / f"{kind}.db"), "PYTHONPATH": str(HERE)}
    url = "http://127.0.0.1:8192"
    return Server("FastAPI and the pipeline", [*command, "--no-access-log"], url, "/predict", row, environ=environ)


def called(server: Server, callers: int, seconds: float) -> Heard:
    "Ask a server for one row at a time."
    return call(server.url + server.path, server.body, callers, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--repeat", type=int, default=3, help="rounds, whose median counts")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rows: pd.DataFrame = made()[[*COLUMNS, "state"]]
        rows.to_csv(table := root / "parts.csv", index=False)
        full = next(row for row in rows[COLUMNS].to_dict("records") if not any(pd.isna(v) for v in row.values()))
        for kind in CANDIDATES:
            servers = [make(root, table, kind, full) for make in (ours, fastapi)]
            for callers in (32, 1):
                title = f"One row of 20 mixed columns a request, {kind} model, {callers} callers"
                compare(
                    title, servers, lambda s, n=callers: call(s.url + s.path, s.body, n, given.seconds), given.repeat
                )


if __name__ == "__main__":
    main()
