"""Fit a scikit-learn pipeline on a CSV of every kind, as its documentation does. Run by bench/mixed.py."""

import sys

import joblib
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

table, target, kind, output = sys.argv[1:]
rows = pd.read_csv(table)
y = rows.pop(target)
text = make_column_selector(dtype_include=["object", "str", "bool"])
number = make_column_selector(dtype_include="number")
if kind == "linear":
    before = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), text),
        (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), number),
    )
    model = make_pipeline(before, LogisticRegression(max_iter=1000))
else:
    coded = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    before = make_column_transformer((coded, text), ("passthrough", number))
    model = make_pipeline(before, HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=4))
names = {"object": str, "str": str, "bool": bool}
types = {name: names.get(str(rows[name].dtype), float) for name in rows}
types |= {name: bool for name in rows if set(rows[name].dropna().unique()) <= {True, False}}
joblib.dump((model.fit(rows, y), types), output)
