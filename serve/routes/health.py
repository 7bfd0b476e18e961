"""Health and metrics: for people, for load balancers, for Prometheus."""

from typing import Any

from litestar import MediaType, Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec

from serve import schemas
from serve.service import Service

_NOT_READY = {503: ResponseSpec(schemas.Health, description="Predictions are not answered now, and why.")}


@get("/health", operation_id="health", summary="Model, database, uptime", responses=_NOT_READY)
async def health(service: NamedDependency[Service]) -> Response[schemas.Health]:
    return Response(found := service.health(), status_code=503 if found.status == "unavailable" else 200)


@get("/health/live", operation_id="live", summary="Whether the process answers at all")
async def live() -> schemas.Alive:
    return schemas.Alive("alive")


@get("/health/ready", operation_id="ready", summary="For load balancers", responses=_NOT_READY)
async def ready(service: NamedDependency[Service]) -> Response[schemas.Health]:
    return Response(found := service.health(), status_code=503 if found.status == "unavailable" else 200)


@get("/metrics", operation_id="metrics", summary="Prometheus text, or a JSON summary by Accept")
async def metrics(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> Response[Any]:
    if accepts(request, "application/json", "text/plain"):
        return Response(service.metrics.summary(), media_type=MediaType.JSON)
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def accepts(request: Request[Any, Any, Any], kind: str, usual: str) -> bool:
    "Return whether a caller prefers `kind` to what is usual; a header that can't be read asks for nothing."
    try:
        return request.accept.best_match([usual, kind]) == kind
    except (ValueError, ArithmeticError):  # a quality such as 1e999
        return False


routes = [Router("/", route_handlers=[health, live, ready, metrics], tags=["service"])]
