"""Predictions: one row, or many."""

import asyncio
from typing import Any

from litestar import Router, post
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIType, Parameter, Schema

from serve.auth import MAY_NEED_KEY, needs_key
from serve.batching import RequestContext
from serve.errors import error_responses
from serve.parsing import parse_options
from serve.protocols import ALPHA
from serve.routes.openapi import operation_with
from serve.schemas import Answer
from serve.service import Service

_ALPHA = Parameter(
    "alpha",
    "query",
    description="Error rate of the prediction sets.",
    schema=Schema(type=OpenAPIType.NUMBER, minimum=ALPHA[0], maximum=ALPHA[1]),
)
_PARTIAL = Parameter(
    "partial",
    "query",
    description="Answer the good rows, in their order, and list the bad.",
    schema=Schema(type=OpenAPIType.BOOLEAN, default=False),
)
_LOOKED_UP = Parameter(
    "looked_up",
    "query",
    description="Give what was looked up for each row, with its age; where features are looked up.",
    schema=Schema(type=OpenAPIType.BOOLEAN, default=False),
)
_ANSWERS: Any = {"status_code": 200, "responses": error_responses(400, 401, 408, 413, 415, 429, 503)}


async def _answer_row(service: Service, context: RequestContext) -> Answer:
    "Answer a body that holds one row; raise InvalidInput, or what `Batcher.predict` raises."
    options = parse_options(context.query)
    if (row := service.parser.row_fast(context.body)) is None:
        row = await asyncio.to_thread(service.parser.row, context.body)
    return await service.rows.predict([row], context, options)


async def _answer_batch(service: Service, context: RequestContext) -> Answer:
    "Answer a body that holds many rows; raise InvalidInput, or what `Batcher.predict` raises."
    options, max_rows = parse_options(context.query), service.settings.max_rows
    if options.partial:
        good, rejected = await asyncio.to_thread(service.parser.partial, context.body, max_rows)
        return await service.rows.predict_good(good, rejected, context, options, "/samples/{}".format)
    if (rows := service.parser.batch_fast(context.body, max_rows)) is None:
        rows = await asyncio.to_thread(service.parser.batch, context.body, max_rows)
    return await service.rows.predict(rows, context, options, "/samples/{}".format)


@post(
    "/predict",
    fast=_answer_row,
    operation_id="predict",
    operation_class=operation_with("Row", _ALPHA, _LOOKED_UP),
    summary="Classify one row",
    **_ANSWERS,
)
async def predict(service: NamedDependency[Service], context: NamedDependency[RequestContext]) -> Answer:
    return await _answer_row(service, context)


@post(
    "/predict/batch",
    fast=_answer_batch,
    operation_id="predict_batch",
    operation_class=operation_with("Batch", _ALPHA, _PARTIAL, _LOOKED_UP),
    summary="Classify many rows",
    **_ANSWERS,
)
async def predict_batch(service: NamedDependency[Service], context: NamedDependency[RequestContext]) -> Answer:
    return await _answer_batch(service, context)


routes = [
    Router(
        "/",
        route_handlers=[predict, predict_batch],
        guards=[needs_key],
        security=MAY_NEED_KEY,
        tags=["predictions"],
    )
]
