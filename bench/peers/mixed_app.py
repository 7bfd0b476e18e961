"""FastAPI with a fitted scikit-learn pipeline for a table of every kind, and one commit to SQLite for each request."""

import os
import sqlite3
import time
from datetime import UTC, datetime

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import create_model

model, types = joblib.load(os.environ["MODEL"])
log = sqlite3.connect(os.environ["DATABASE"], check_same_thread=False)
log.execute("CREATE TABLE IF NOT EXISTS predictions (time TEXT, features TEXT, label TEXT, confidence REAL, ms REAL)")
app = FastAPI()
Row = create_model("Row", **{name: (type_ | None, None) for name, type_ in types.items()})


@app.post("/predict")
async def predict(row: Row) -> dict:
    begin = time.perf_counter()
    (chances,) = model.predict_proba(pd.DataFrame([row.model_dump()]))
    ms, now = 1000 * (time.perf_counter() - begin), datetime.now(UTC).isoformat()
    label = str(model.classes_[chances.argmax()])
    kept = (now, row.model_dump_json(), label, float(chances.max()), ms)
    log.execute("INSERT INTO predictions VALUES (?, ?, ?, ?, ?)", kept)
    log.commit()
    return {"predictions": [label], "probabilities": [chances.tolist()], "processing_time_ms": ms, "timestamp": now}
