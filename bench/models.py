"""The champion of a training beside the best one-line alternatives, on the same folds of seven tables.

    make bench-models      or: .venv/bin/python -m bench.models [--only penguins made] [--seconds 120]

Each table is declared by `iris-nb declare`'s code, with no hand of ours. The alternatives are scikit-learn's
HistGradientBoostingClassifier(categorical_features="from_dtype") and skrub's tabular_pipeline("classifier"), which has
an environment of its own in ~/.cache/iris-nb-bench (made by the first run). What is compared is the log loss of rows
left out; a difference is beyond noise where its interval (Nadeau and Bengio, 2003) leaves out zero.
"""

import argparse
import pickle
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from bench.peers import PACKAGES, prepare
from iris_nb.files.declaration import declare
from iris_nb.files.frame import read_rows
from iris_nb.files.survey import survey
from iris_nb.schema import Schema
from iris_nb.train.candidates import candidates_for
from iris_nb.train.data import arrays
from iris_nb.train.evaluate import (
    Folds,
    compare_candidates,
    estimate,
    fold_scores,
    make_folds,
    plan_candidates,
    row_log_losses,
    select,
    try_candidates,
)
from tests.tables.worlds import WORLDS, World

FOLDS, REPEATS = 5, 2
SKRUB = """
import pickle, sys
import numpy as np
from skrub import tabular_pipeline

frame, y, folds = pickle.load(open(sys.argv[1], "rb"))
answers = []
for held_out in folds:
    model = tabular_pipeline("classifier").fit(frame[~held_out], y[~held_out])
    answers.append(model.predict_proba(frame[held_out]))
pickle.dump(answers, open(sys.argv[1], "wb"))
"""


def typed(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    "Return the features with pandas' own types, as a person would hand them to a pipeline."
    columns = dict[str, Any]()
    for f in schema.features:
        if f.kind == "date":
            columns[f.name] = pd.to_datetime(frame[f.name])
        elif f.is_discrete:
            columns[f.name] = frame[f.name].astype(object).where(frame[f.name].notna(), None).astype("category")
        else:
            columns[f.name] = frame[f.name].astype(float)
    return pd.DataFrame(columns)


def losses_of(answers: list[NDArray[np.float64]], y: NDArray[np.int64], parts: list[NDArray[np.bool_]]) -> list[float]:
    "Return the log loss in every fold."
    return [float(row_log_losses(P, y[part]).mean()) for P, part in zip(answers, parts, strict=True)]


def boosted(frame: pd.DataFrame, y: NDArray[np.int64], parts: list[NDArray[np.bool_]]) -> list[NDArray[np.float64]]:
    "Return scikit-learn's answers to the held-out rows of every fold; a date is its number of days."
    plain = frame.copy()
    for name in frame.select_dtypes("datetime"):
        plain[name] = (frame[name] - pd.Timestamp(0)).dt.days.astype(float)
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=42)
    return [model.fit(plain[~part], y[~part]).predict_proba(plain[part]) for part in parts]


def skrubbed(frame: pd.DataFrame, y: NDArray[np.int64], parts: list[NDArray[np.bool_]]) -> list[NDArray[np.float64]]:
    "Return skrub's answers to the held-out rows of every fold, from an environment of its own."
    PACKAGES["skrub"] = ["skrub", "scikit-learn", "pandas", "pyarrow"]
    python = prepare("skrub", fits=False) / "bin" / "python"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.pickle"
        path.write_bytes(pickle.dumps((frame, y, parts)))
        subprocess.run([python, "-c", SKRUB, path], check=True, stdout=subprocess.DEVNULL)
        found: list[NDArray[np.float64]] = pickle.loads(path.read_bytes())  # written by the line above
        return found


def champion(
    schema: Schema, X: NDArray[np.float64], y: NDArray[np.int64], folds: Folds, seconds: float
) -> tuple[str, list[float]]:
    "Return the candidate that a training would select within a time budget, and its log loss in every fold."
    suiting, _ = candidates_for(schema, len(y))
    plan = plan_candidates(suiting, X, y, FOLDS, REPEATS, seconds=seconds)
    tried = try_candidates(plan.candidates, X, y, folds, seconds=seconds, progress=False).probabilities
    scores = {name: fold_scores(P, y, folds) for name, P in tried.items()}
    chosen = select(compare_candidates(scores, [c for c in plan.candidates if c.name in scores], folds.ratio)).name
    return chosen, scores[chosen]["log_loss"].tolist()


def measure(world: World, seconds: float) -> str:
    "Return the line of one table."
    with tempfile.TemporaryDirectory() as folder:
        file = world.write(Path(folder))
        schema = declare(survey(file), world.target, world.name, world.row).schema
        frame = read_rows(file, schema)
    X, y = arrays(frame, schema)
    folds = make_folds(y, FOLDS, REPEATS)
    parts = [part for repeat in range(REPEATS) for part in folds.parts(repeat)]
    cells = [f"{world.name} ({len(y):,} x {len(schema.features)}, {len(schema.classes)} classes)"]
    began = time.perf_counter()
    name, ours = champion(schema, X, y, folds, seconds)
    cells.append(f"{name}, {np.mean(ours):.4f}, {time.perf_counter() - began:.0f} s")
    for answers in (boosted, skrubbed):
        began = time.perf_counter()
        theirs = losses_of(answers(typed(frame, schema), y, parts), y, parts)
        d = estimate(np.subtract(ours, theirs), folds.ratio)
        word = "better" if d.high < 0 else "worse" if d.low > 0 else "no difference beyond noise"
        cells.append(f"{np.mean(theirs):.4f}, {time.perf_counter() - began:.0f} s: champion {word}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=sorted(WORLDS), default=list(WORLDS))
    parser.add_argument("--seconds", type=float, default=120, help="for comparing the candidates of one table")
    given = parser.parse_args()
    print("| table | champion: log loss, seconds | HistGradientBoosting | skrub |\n|---|---|---|---|", flush=True)
    for name in given.only:
        print(measure(WORLDS[name], given.seconds), flush=True)


if __name__ == "__main__":
    main()
