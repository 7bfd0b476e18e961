"""The model that answers, and which one it is to be."""

import asyncio
from typing import Any

from litestar import Router, get, post
from litestar.di import NamedDependency

from iris_nb.bundle import Card
from serve.auth import MAY_NEED_KEY, always_needs_key, needs_key
from serve.errors import told
from serve.service import Service

CHANGES: Any = {"guards": [always_needs_key], "status_code": 200, "responses": told(401, 408, 409, 413, 415, 429, 503)}


@get("/model/info", operation_id="model_info", summary="Its card", guards=[needs_key], responses=told(401, 429, 503))
async def info(service: NamedDependency[Service]) -> Card:
    return service.engine.answering().card


@post("/model/reload", operation_id="model_reload", summary="Look for a new champion now", **CHANGES)
async def reload(service: NamedDependency[Service]) -> Card:
    await asyncio.to_thread(service.champion.load)
    return service.engine.answering().card


@post("/model/rollback", operation_id="model_rollback", summary="Go back to the champion before this one", **CHANGES)
async def rollback(service: NamedDependency[Service]) -> Card:
    await asyncio.to_thread(service.champion.roll_back)
    return service.engine.answering().card


routes = [Router("/", route_handlers=[info, reload, rollback], security=MAY_NEED_KEY, tags=["model"])]
