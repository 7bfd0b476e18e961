"""The Open Inference Protocol v2 (REST): the same predictions for the clients of Triton, KServe and others."""

import asyncio
from functools import partial
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, Router, get, post
from litestar.datastructures import Headers
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath

import iris_nb
from iris_nb.bundle import Card
from iris_nb.schema import shown
from serve import tensors
from serve.auth import MAY_NEED_KEY, needs_key
from serve.body import NO_TYPE
from serve.coding import coded, unpacked
from serve.errors import NoModel, Unknown, error_responses
from serve.middleware import request_context
from serve.protocols import InferAnswer, InferError, ModelMetadata, ModelState, ServerMetadata, ServerState
from serve.routes.openapi import operation_with
from serve.service import Service

_SMALL = 1 << 16  # bytes of a body that is read at once; a larger one would keep other requests waiting
_Request = Request[Any, Any, Any]
_Answer = Response[InferAnswer]
_NOT_READY = {503: ResponseSpec(ServerState, False, "Predictions are not answered now.")}


def _errors(*statuses: int) -> dict[int, ResponseSpec]:
    return error_responses(*statuses, form=InferError, media_type=MediaType.JSON)


_STATE: Any = {"responses": _errors(400, 404) | {503: ResponseSpec(ModelState, False, "It does not answer now.")}}
_METADATA: Any = {"guards": [needs_key], "security": MAY_NEED_KEY, "responses": _errors(400, 401, 404, 429, 503)}
_INFER: Any = {
    "operation_class": operation_with("InferRequest"),
    "guards": [needs_key],
    "security": MAY_NEED_KEY,
    "status_code": 200,
    "responses": _errors(400, 401, 404, 408, 413, 415, 429, 503),
    "takes": {"application/octet-stream", NO_TYPE},
}


def known_model(service: Service, name: str, version: str | None = None) -> Card:
    """Return the card of the model that answers to a name; raise Unknown, or NoModel.

    The name of the table stays the same whichever kind of model is champion; a model's own name is taken, too.
    """
    card, ours = service.reloader.current().card, service.schema.name
    if name not in (ours, card.name):
        raise Unknown(f"There is no model {shown(name)} here: ask for {ours}.")
    if version not in (None, card.version):
        raise Unknown(f"There is no version {shown(version)} of {ours} here: version {card.version} answers.")
    return card


@get("/", operation_id="oip_server", summary="What answers")
async def server() -> ServerMetadata:
    return ServerMetadata("iris_nb", iris_nb.__version__, ["binary_tensor_data"])


@get("/health/live", operation_id="oip_live", summary="Whether the process answers")
async def live(service: NamedDependency[Service]) -> ServerState:
    return ServerState(live=True, ready=not service.faults())


@get("/health/ready", operation_id="oip_ready", summary="Whether predictions are answered", responses=_NOT_READY)
async def ready(service: NamedDependency[Service]) -> Response[ServerState]:
    found = ServerState(live=True, ready=not service.faults())
    return Response(found, status_code=200 if found.ready else 503)


def _model_state(service: Service, name: str, version: str | None = None) -> Response[ModelState]:
    try:
        known_model(service, name, version)
    except NoModel:
        return Response(ModelState(name, ready=False), status_code=503)
    found = ModelState(name, ready=not service.faults())
    return Response(found, status_code=200 if found.ready else 503)


def _model_metadata(service: Service, name: str, version: str | None = None) -> ModelMetadata:
    card, schema = known_model(service, name, version), service.schema
    about: dict[str, str | float | bool] = {"model": card.name}
    if matrix := tensors.matrix_of(service.asked):
        about["instead"] = f"{matrix.name} {matrix.datatype} {matrix.shape}"
    takes, gives = tensors.inputs_of(service.asked), tensors.outputs_of(schema)
    return ModelMetadata(name, [card.version], "onnxruntime_onnx", takes, gives, about)


async def _infer(asked: _Request, service: Service, name: str, version: str | None = None) -> _Answer:
    "Answer a body of tensors; raise Unknown, InvalidInput, or what `Batcher.predict` raises."
    known_model(service, name, version)
    context = await request_context(asked)
    read = partial(_read, service, asked.headers, context.body)
    ask = await asyncio.to_thread(read) if len(context.body) > _SMALL else read()
    if ask.id:
        asked.scope["state"]["request_id"] = ask.id
        context = context._replace(request_id=ask.id)
    answer = await service.rows.predict(ask.rows, context)
    if version not in (None, answer.model_version):
        raise Unknown(f"Version {version} was replaced by version {answer.model_version} meanwhile.")
    found, raw = tensors.answer_of(service.schema, name, context.request_id, answer, ask.outputs)
    return _answer(msgspec.json.encode(found), raw, asked.headers.get("accept-encoding", ""))


def _read(service: Service, headers: Headers, body: bytes) -> tensors.Ask:
    "Return what a body asks; raise InvalidInput, TooLarge or UnknownCoding."
    plain = unpacked(body, headers.get("content-encoding", ""), service.settings.max_body)
    json_size = headers.get("inference-header-content-length")
    return tensors.read(service.asked, plain, service.settings.max_rows, json_size)


def _answer(head: bytes, raw: bytes, accepted: str) -> _Answer:
    "Return an answer's JSON and what follows it, packed as the caller takes it."
    if not raw:
        return coded(head, MediaType.JSON, accepted)
    size = {"inference_header_content_length": str(len(head))}
    return coded(head + raw, "application/octet-stream", accepted, **size)


@get("/models/{name:str}/ready", operation_id="oip_model_ready", summary="Whether a model answers", **_STATE)
async def model_ready(service: NamedDependency[Service], name: FromPath[str]) -> Response[ModelState]:
    return _model_state(service, name)


@get(
    "/models/{name:str}/versions/{version:str}/ready",
    operation_id="oip_version_ready",
    summary="Whether a version of it answers",
    **_STATE,
)
async def version_ready(
    service: NamedDependency[Service], name: FromPath[str], version: FromPath[str]
) -> Response[ModelState]:
    return _model_state(service, name, version)


@get("/models/{name:str}", operation_id="oip_model", summary="What a model takes and gives", **_METADATA)
async def model(service: NamedDependency[Service], name: FromPath[str]) -> ModelMetadata:
    return _model_metadata(service, name)


@get(
    "/models/{name:str}/versions/{version:str}",
    operation_id="oip_version",
    summary="What a version of it takes and gives",
    **_METADATA,
)
async def version(service: NamedDependency[Service], name: FromPath[str], version: FromPath[str]) -> ModelMetadata:
    return _model_metadata(service, name, version)


@post("/models/{name:str}/infer", operation_id="oip_infer", summary="Classify rows", **_INFER)
async def infer(request: _Request, service: NamedDependency[Service], name: FromPath[str]) -> _Answer:
    return await _infer(request, service, name)


@post(
    "/models/{name:str}/versions/{version:str}/infer",
    operation_id="oip_version_infer",
    summary="Classify rows with one version",
    **_INFER,
)
async def version_infer(
    request: _Request, service: NamedDependency[Service], name: FromPath[str], version: FromPath[str]
) -> _Answer:
    return await _infer(request, service, name, version)


routes = [
    Router(
        "/v2",
        route_handlers=[server, live, ready, model_ready, version_ready, model, version, infer, version_infer],
        tags=["open inference"],
    )
]
