"""Predictions: asked for, looked up, labelled."""

from typing import Any
from urllib.parse import parse_qs

from litestar import post
from litestar.params import JSONBody

from serve import wire
from serve.door import Ask
from serve.reading import read_batch, read_row
from serve.service import Service


async def one(service: Service, ask: Ask) -> wire.Answer:
    return await service.engine.predict([read_row(ask.body)], ask.call)


async def many(service: Service, ask: Ask) -> wire.Answer:
    return await service.engine.predict(read_batch(ask.body, service.settings.max_rows), ask.call)


@post("/predict", lean=one, operation_id="predict", tags=["predictions"], status_code=200, summary="Classify one row")
async def predict(data: JSONBody[wire.Row]) -> wire.Answer:
    raise AssertionError("the door calls `one`")


@post("/predict/batch", lean=many, operation_id="predict_batch", tags=["predictions"], status_code=200, summary="Classify many rows")
async def predict_batch(data: JSONBody[wire.Batch]) -> wire.Answer:
    raise AssertionError("the door calls `many`")


routes: list[Any] = [predict, predict_batch]
