"""MLflow's scoring protocol: the same predictions for programs that call a model served by MLflow."""

import asyncio
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

import iris_nb
from serve import frames
from serve.auth import MAY_NEED_KEY, needs_key
from serve.coding import coded, unpacked
from serve.errors import error_responses
from serve.middleware import request_context
from serve.parsing import Options
from serve.protocols import Endpoint, EndpointModel, FrameAnswer
from serve.routes.open_inference import known_model
from serve.routes.openapi import operation_with
from serve.service import Service

_Request = Request[Any, Any, Any]
_INVOKE: Any = {
    "operation_class": operation_with("FrameRequest"),
    "guards": [needs_key],
    "security": MAY_NEED_KEY,
    "status_code": 200,
    "takes": {"text/csv"},
}


async def _invoke(asked: _Request, service: Service) -> Response[FrameAnswer]:
    "Answer a table; raise InvalidInput, or what `Batcher.predict` raises."
    context = await request_context(asked)
    frame = await asyncio.to_thread(_read, service, asked, context.body)
    answer = await service.rows.predict(frame.rows, context, Options(frame.alpha), frame.place)
    classes = service.schema.classes
    found = FrameAnswer(
        predictions=[dict(zip(classes, row, strict=True)) for row in answer.probabilities],
        labels=answer.predictions,
        prediction_ids=answer.prediction_ids,
        model_name=answer.model_name,
        model_version=answer.model_version,
        timestamp=answer.timestamp,
        prediction_sets=answer.prediction_sets,
        decisions=answer.decisions,
    )
    return coded(msgspec.json.encode(found), MediaType.JSON, asked.headers.get("accept-encoding", ""))


def _read(service: Service, asked: _Request, body: bytes) -> frames.Frame:
    "Return what a body asks; raise InvalidInput, TooLarge or UnknownCoding."
    plain = unpacked(body, asked.headers.get("content-encoding", ""), service.settings.max_body)
    is_csv = asked.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/csv"
    read = frames.read_csv if is_csv else frames.read_json
    return read(service.asked, plain, service.settings.max_rows)


@get("/ping", operation_id="ping", summary="Whether predictions are answered", media_type=MediaType.TEXT)
async def ping(service: NamedDependency[Service]) -> Response[str]:
    return Response("\n", status_code=503 if service.faults() else 200, media_type=MediaType.TEXT)


@get("/version", operation_id="version", summary="Version of the service", media_type=MediaType.TEXT)
async def version() -> str:
    return iris_nb.__version__


@post(
    "/invocations",
    operation_id="invocations",
    summary="Classify the rows of a table",
    responses=error_responses(400, 401, 408, 413, 415, 429, 503),
    **_INVOKE,
)
async def invocations(request: _Request, service: NamedDependency[Service]) -> Response[FrameAnswer]:
    return await _invoke(request, service)


@post(
    "/endpoints/{name:str}/invocations",
    operation_id="endpoint_invocations",
    summary="The same for MLflow's deployment client",
    responses=error_responses(400, 401, 404, 408, 413, 415, 429, 503),
    **_INVOKE,
)
async def endpoint_invocations(
    request: _Request, service: NamedDependency[Service], name: FromPath[str]
) -> Response[FrameAnswer]:
    known_model(service, name)
    return await _invoke(request, service)


@get(
    "/api/2.0/endpoints/{name:str}",
    operation_id="endpoint",
    summary="What answers at an endpoint",
    guards=[needs_key],
    security=MAY_NEED_KEY,
    responses=error_responses(400, 401, 404, 429, 503),
)
async def endpoint(service: NamedDependency[Service], name: FromPath[str]) -> Endpoint:
    card = known_model(service, name)
    return Endpoint(name, "classification", EndpointModel(card.name, "iris_nb"), f"/endpoints/{name}/invocations")


routes = [
    Router("/", route_handlers=[ping, version, invocations, endpoint_invocations, endpoint], tags=["mlflow"]),
]
