"""The reference design: FastAPI, Pydantic, scikit-learn, and one commit to SQLite for each request."""

import os
import sqlite3
import time
from datetime import UTC, datetime

import joblib
from fastapi import FastAPI
from pydantic import BaseModel, create_model

NAMES, CLASSES = os.environ["NAMES"].split(","), os.environ["CLASSES"].split(",")
model = joblib.load(os.environ["MODEL"])
log = sqlite3.connect(os.environ["DATABASE"], check_same_thread=False)
log.execute("CREATE TABLE IF NOT EXISTS predictions (time TEXT, features TEXT, label TEXT, confidence REAL, ms REAL)")
app = FastAPI()
Row = create_model("Row", **dict.fromkeys(NAMES, (float, ...)))


class Batch(BaseModel):
    samples: list[Row]


def answered(rows: list) -> dict:
    begin = time.perf_counter()
    chances = model.predict_proba([[getattr(row, name) for name in NAMES] for row in rows])
    ms, now = 1000 * (time.perf_counter() - begin), datetime.now(UTC).isoformat()
    labels = [CLASSES[i] for i in chances.argmax(axis=1)]
    kept = zip(rows, labels, chances.max(axis=1), strict=True)
    log.executemany(
        "INSERT INTO predictions VALUES (?, ?, ?, ?, ?)",
        [(now, row.model_dump_json(), label, float(p), ms) for row, label, p in kept],
    )
    log.commit()
    return {
        "predictions": labels, "probabilities": chances.tolist(), "model_name": "model", "model_version": "1",
        "processing_time_ms": ms, "timestamp": now,
    }  # fmt: skip


@app.post("/predict")
async def predict(row: Row) -> dict:
    return answered([row])


@app.post("/predict/batch")
async def predict_batch(batch: Batch) -> dict:
    return answered(batch.samples)
