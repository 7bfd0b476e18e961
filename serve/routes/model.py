"""The model that answers, and which one it is to be."""

import asyncio
from functools import partial
from typing import Any

from litestar import Router, get, post
from litestar.di import NamedDependency

from iris_nb.bundle import Card
from serve.auth import MAY_NEED_KEY, always_needs_key, needs_key
from serve.batching import RequestContext
from serve.errors import error_responses
from serve.service import Service

_CHANGES: Any = {
    "guards": [always_needs_key],
    "status_code": 200,
    "responses": error_responses(401, 409, 429, 503),
}


@get(
    "/model/info",
    operation_id="model_info",
    summary="Its card",
    guards=[needs_key],
    responses=error_responses(401, 429, 503),
)
async def info(service: NamedDependency[Service]) -> Card:
    return service.reloader.current().card


@post("/model/reload", operation_id="model_reload", summary="Look for a new champion now", **_CHANGES)
async def reload(service: NamedDependency[Service]) -> Card:
    await asyncio.to_thread(service.reloader.load)
    return service.reloader.current().card


@post("/model/rollback", operation_id="model_rollback", summary="Go back to the champion before this one", **_CHANGES)
async def rollback(service: NamedDependency[Service], context: NamedDependency[RequestContext]) -> Card:
    await asyncio.to_thread(service.reloader.roll_back)
    card = service.reloader.current().card
    about = {"version": card.version, "bundle": service.reloader.folder}
    await asyncio.to_thread(partial(service.audit.note, "model.rollback", card.name, context.caller, **about))
    return card


routes = [Router("/", route_handlers=[info, reload, rollback], security=MAY_NEED_KEY, tags=["model"])]
