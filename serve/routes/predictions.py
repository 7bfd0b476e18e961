"""Predictions: asked for, looked up, labelled."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, Parameter

from iris_nb.audit.history import Window
from serve import schemas
from serve.auth import MAY_NEED_KEY, needs_key
from serve.errors import told
from serve.history import as_csv, micros_of
from serve.middleware import Ask
from serve.parsing import ALPHA, quick_batch, quick_row, read_batch, read_partial, read_row, wishes_of
from serve.service import Service

Alpha = FromQuery[
    Annotated[float | None, Parameter(ge=ALPHA[0], le=ALPHA[1], description="Error rate of the prediction sets.")]
]
Partial = FromQuery[Annotated[bool, Parameter(description="Answer the good rows, in their order, and list the bad.")]]
Limit = FromQuery[Annotated[int, Parameter(ge=1, le=1000, description="Rows on a page.")]]
Before = FromQuery[
    Annotated[str | None, Parameter(pattern=r"^\d{1,18}(-\d{1,18}){2}$", description="`next` of the page before.")]
]
Moment = FromQuery[Annotated[datetime | None, Parameter(description="RFC 3339; `until` itself is not included.")]]
Share = FromQuery[Annotated[float | None, Parameter(ge=0, le=1, schema_extra={"minimum": 0}, description="Included.")]]
ANSWERS: Any = {"status_code": 200, "responses": told(400, 401, 408, 413, 415, 429, 503)}
LABELS: Any = {"status_code": 200, "responses": told(400, 401, 404, 408, 409, 413, 415, 429, 503)}
LOOKED_UP = told(400, 401, 429, 503)


async def one(service: Service, ask: Ask) -> schemas.Answer:
    "How `predict` is answered."
    wishes = wishes_of(ask.query)
    if (row := quick_row(ask.body)) is None:
        row = await asyncio.to_thread(read_row, ask.body)
    return await service.engine.predict([row], ask.call, wishes.alpha)


async def many(service: Service, ask: Ask) -> schemas.Answer:
    "How `predict_batch` is answered."
    wishes, most = wishes_of(ask.query), service.settings.max_rows
    if wishes.partial:
        good, rejected = await asyncio.to_thread(read_partial, ask.body, most)
        return schemas.with_rejected(await service.engine.predict(good, ask.call, wishes.alpha), rejected)
    if (rows := quick_batch(ask.body, most)) is None:
        rows = await asyncio.to_thread(read_batch, ask.body, most)
    return await service.engine.predict(rows, ask.call, wishes.alpha)


@post("/predict", lean=one, operation_id="predict", summary="Classify one row", **ANSWERS)
async def predict(data: JSONBody[schemas.Row], alpha: Alpha = None) -> schemas.Answer:
    raise AssertionError("the door calls `one`")


@post("/predict/batch", lean=many, operation_id="predict_batch", summary="Classify many rows", **ANSWERS)
async def predict_batch(data: JSONBody[schemas.Batch], alpha: Alpha = None, partial: Partial = False) -> schemas.Answer:
    raise AssertionError("the door calls `many`")


@get("/predictions/history", operation_id="history", summary="What was answered, newest first", responses=LOOKED_UP)
async def history(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    limit: Limit = 100,
    before: Before = None,
    since: Moment = None,
    until: Moment = None,
    label: FromQuery[schemas.Label | None] = None,
    model_version: FromQuery[str | None] = None,
    min_confidence: Share = None,
    max_confidence: Share = None,
) -> Response[schemas.Page]:
    window = Window(micros_of(since), micros_of(until), label, model_version, min_confidence, max_confidence)
    page = await service.history(window, limit, before)
    wants_csv = request.accept.best_match(["application/json", "text/csv"]) == "text/csv"
    return as_csv(page) if wants_csv else Response(page)


@get(
    "/predictions/{id:str}",
    operation_id="prediction",
    summary="All that is known of one",
    responses=LOOKED_UP | told(404),
)
async def prediction(id: FromPath[str], service: NamedDependency[Service]) -> schemas.Logged:
    return await service.logged(id)


@post("/predictions/{id:str}/label", operation_id="label", summary="Say what it really was", **LABELS)
async def label(id: FromPath[str], data: JSONBody[schemas.Truth], service: NamedDependency[Service]) -> schemas.Logged:
    await asyncio.to_thread(service.log().label, id, data.label, data.correct)
    return await service.logged(id)


routes = [
    Router(
        "/",
        route_handlers=[predict, predict_batch, history, prediction, label],
        guards=[needs_key],
        security=MAY_NEED_KEY,
        tags=["predictions"],
    )
]
