"""Tables as their owners have them: files with headers of their own, text, gaps and a class that is rare."""

import csv
import gzip
import importlib.resources
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
from sklearn import datasets

from iris_nb.schema import Category, Date, Kind, Number, Schema, YesNo, binary_costs


@dataclass(frozen=True)
class World:
    "A table in a file, and what people know about it."

    name: str
    row: str  # what one row is
    target: str  # the file's column of the class
    frame: Callable[[], pd.DataFrame]  # what stands in the file, with the file's own headers
    drifting: str  # a feature that a simulated drift moves
    costs: tuple[tuple[float, ...], ...] = ()  # of wrong decisions, which people add to the declaration

    def write(self, folder: Path) -> Path:
        "Write the file, with empty cells for gaps."
        path = folder / f"{self.name}.csv"
        self.frame().to_csv(path, index=False)
        return path


def _bunch(load: Callable[..., Any], target: str) -> pd.DataFrame:
    found = load(as_frame=True)
    return found.data.assign(**{target: np.array(found.target_names)[found.target]})


def irises() -> pd.DataFrame:
    "Return 150 flowers; the headers hold units in brackets."
    return _bunch(datasets.load_iris, "species")


def wines() -> pd.DataFrame:
    "Return 178 wines, one header of which is `od280/od315_of_diluted_wines`."
    return _bunch(datasets.load_wine, "cultivar")


def biopsies() -> pd.DataFrame:
    "Return 569 biopsies with 30 numbers each; the headers hold blanks."
    return _bunch(datasets.load_breast_cancer, "diagnosis")


def digits() -> pd.DataFrame:
    "Return 1,797 pictures of 64 pixels, three of which are always blank, and ten classes that are numbers."
    return _bunch(datasets.load_digits, "digit")


def penguins() -> pd.DataFrame:
    "Return 344 penguins; sex and measurements have gaps."
    path = importlib.resources.files("palmerpenguins") / "data" / "penguins.csv"
    return pd.read_csv(io.StringIO(path.read_text(encoding="utf-8")))


def passengers() -> pd.DataFrame:
    "Return 1,309 passengers of the Titanic, which scikit-learn ships for its own tests; names, cabins and gaps."
    place = importlib.resources.files("sklearn.datasets.tests.data.openml.id_40945") / "data-v1-dl-16826755.arff.gz"
    head, _, body = gzip.decompress(place.read_bytes()).decode().partition("@data\n")
    columns = [line.split("'")[1] for line in head.splitlines() if line.startswith("@attribute")]
    rows = csv.reader(io.StringIO(body.replace('\\"', '""')))
    return pd.DataFrame(list(rows), columns=columns).replace("?", "")


def _made_kinds() -> list[Kind]:
    numbers = [Number(f"reading_{i}", "mm", -100, 100, "", 0.0, missing=i % 2 == 1) for i in range(1, 15)]
    counts = [Number(f"count_{i}", "", 0, 60, "", 5, whole=True, missing=i > 3) for i in range(1, 7)]
    switches = [YesNo(f"switch_{i}", "", True, missing=i > 3) for i in range(1, 7)]
    words = ("steel", "tin", "brass", "zinc", "copper", "lead", "silver")
    metals = [Category(f"part_{i}", words[: 1 + i], "", "steel", missing=i > 3) for i in range(1, 7)]
    grades = [Category(f"grade_{i}", ("low", "middle", "high"), "", "low", ordered=True) for i in range(1, 5)]
    days = [Date(f"day_{i}", "2015-01-01", "2024-12-31", "", "2020-02-29", missing=i > 2) for i in range(1, 5)]
    return [*numbers, *counts, *switches, *metals, *grades, *days]


#: 40 columns of every kind; a part of a machine is faulty once in a hundred.
MADE = Schema("parts", "part", tuple(_made_kinds()), "state", ("fine", "faulty"), costs=binary_costs(1, 30))


def made(count: int = 6000, seed: int = 1) -> pd.DataFrame:
    "Return parts of machines, one in a hundred faulty, one cell in twenty empty where cells may be."
    random = np.random.default_rng(seed)
    doubles = {f.name: f.draw(random, count) for f in MADE.features}
    for i in range(1, 15):
        doubles[f"reading_{i}"] = random.normal(0, 15, count).clip(-99, 99).round(2)
    for i in range(1, 7):
        doubles[f"count_{i}"] = random.poisson(3 * i, count).clip(0, 60).astype(float)
    score = doubles["reading_1"] / 5 + 3 * (doubles["part_6"] == 1) + 3 * doubles["switch_5"]
    score += doubles["grade_1"] + (doubles["day_1"] - 16436) / 1500 + random.logistic(0, 0.5, count)
    for f in MADE.features:
        if f.missing:
            doubles[f.name][random.random(count) < 0.05] = np.nan
    score += 3 * np.isnan(doubles["reading_3"])
    state = np.where(score > np.quantile(score, 0.99), "faulty", "fine")
    columns = {f.name: [f.decode(x) for x in doubles[f.name].tolist()] for f in MADE.features}
    return pd.DataFrame(columns, dtype=object).assign(state=state)


WORLDS = {
    world.name: world
    for world in (
        World("irises", "flower", "species", irises, "petal_length"),
        World("wines", "wine", "cultivar", wines, "alcohol"),
        World("biopsies", "biopsy", "diagnosis", biopsies, "mean_radius"),
        World("digits", "picture", "digit", digits, "pixel_3_3"),
        World("penguins", "penguin", "species", penguins, "flipper_length_mm"),
        World(
            "passengers",
            "passenger",
            "survived",
            lambda: passengers().drop(columns=["boat", "body"]),  # which are known afterwards only
            "fare",
        ),
        World("made", "part", "state", made, "part_2", MADE.costs),
    )
}


def add_costs(lesson: Path, costs: tuple[tuple[float, ...], ...]) -> None:
    "Add the costs of wrong decisions to a declaration, as people do."
    cells = nbformat.read(lesson, 4)
    (cell,) = [c for c in cells.cells if "SCHEMA = Schema(" in c.source]
    assert cell.source.endswith("\n)")
    cell.source = f"{cell.source[:-1]}    costs={costs!r},\n)"
    nbformat.write(cells, lesson)
