"""Made tables with every kind of column, for the tests of encoding, candidates and export."""

import numpy as np

from iris_nb.schema import Category, Date, Number, Schema, YesNo


def schema(classes=2, values=12, features=None):
    "A table of every kind of column, with so many classes; its widest category has so many values."
    every = (
        Number("size", "m", -5, 5, "A size.", 0),
        Number("income", "EUR", 0, 1e6, "Before taxes.", 1000, missing=True),
        Number("rooms", "", 0, 20, "A count.", 3, whole=True, missing=True),
        YesNo("member", "Whether a member.", True, missing=True),
        Category("shape", ("round", "long", "flat"), "Its shape.", "flat", missing=True),
        Category("grade", ("low", "middle", "high"), "Its grade.", "low", ordered=True, missing=True),
        Category("place", tuple(f"place {i}" for i in range(values)), "Where.", "place 1", other=True),
        Date("since", "1900-01-01", "2100-01-01", "Since when.", "2000-01-01", missing=True,
             parts=("days", "year", "month", "day", "weekday")),
    )  # fmt: skip
    return Schema("made", "thing", features or every, "kind", tuple(f"k{i}" for i in range(classes)))


def rows(made, count=300, seed=0, gaps=0.15):
    "Rows of a made table as doubles, and classes that depend on some columns; every class occurs."
    rng = np.random.default_rng(seed)
    X = np.column_stack([f.draw(rng, count) for f in made.features])
    lows, highs = np.array([f.bounds for f in made.features]).T
    score = ((X - lows) / (highs - lows)) @ rng.normal(size=X.shape[1]) + rng.normal(0, 0.2, count)
    y = np.digitize(score, np.quantile(score, np.arange(1, len(made.classes)) / len(made.classes)))
    for j, f in enumerate(made.features):
        if f.missing:
            X[rng.random(count) < gaps, j] = np.nan
    return X, y
