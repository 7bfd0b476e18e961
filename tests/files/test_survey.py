"""Columns that tell the class are found before a model is trained on them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_iris, load_wine

from iris_nb.files.survey import gives_away, survey


def suspected(frame, folder):
    path = folder / "table.csv"
    frame.to_csv(path, index=False)
    found = survey(path)
    return [c.name for c in found.columns if c.name != "answer" and gives_away(found, c, found.column("answer"))]


@pytest.mark.parametrize(("rows", "rare"), [(100, 0.5), (300, 0.1), (5000, 0.01)])
def test_numbers_that_follow_the_class_are_suspected_and_honest_ones_are_not(rows, rare, tmp_path):
    rng = np.random.default_rng(0)
    y = rng.random(rows) < rare
    columns = {
        "monotone": np.exp(y + rng.random(rows) * 0.9),
        "noisy": y + rng.normal(0, 0.15, rows),
        "honest": y + rng.normal(0, 0.6, rows),
        "noise": rng.normal(size=rows),
        "answer": np.where(y, "yes", "no"),
    }
    assert suspected(pd.DataFrame(columns), tmp_path) == ["monotone", "noisy"]


def test_a_number_that_follows_one_of_three_classes_each_is_suspected(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600)
    frame = pd.DataFrame(
        {"copy": y + rng.random(600) * 0.9, "noise": rng.normal(size=600), "answer": np.array(list("abc"))[y]}
    )
    assert suspected(frame, tmp_path) == ["copy"]


@pytest.mark.parametrize("load", [load_iris, load_breast_cancer, load_wine])
def test_good_features_of_real_tables_are_not_suspected(load, tmp_path):
    frame = load(as_frame=True).frame.rename(columns={"target": "answer"})
    assert suspected(frame.assign(answer="class " + frame["answer"].astype(str)), tmp_path) == []
