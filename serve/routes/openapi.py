"""The documentation, for people (/docs) and for programs (/openapi.json); every file comes from here."""

from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, get
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import (
    Components,
    OpenAPIMediaType,
    Operation,
    Parameter,
    Reference,
    RequestBody,
    SecurityScheme,
    Tag,
)
from litestar.params import FromPath
from litestar.response import File
from litestar.router import Router

import iris_nb
from iris_nb.request import request_schema
from iris_nb.schema import Schema
from serve import tensors
from serve.errors import Unknown
from serve.schemas import components, row_type

_FILES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_SCRIPT = """SwaggerUIBundle({url: "/openapi.json", dom_id: "#ui", deepLinking: true, validatorUrl: null})"""
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>iris_nb: the service</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<div id="ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</html>
"""
# Swagger UI styles its elements inline and keeps a few pictures in its style sheet.
_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'"
}
_KEY = SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header")
_ALSO = {"metrics": "text/plain", "history": "text/csv"}  # what else an operation answers with, by Accept
_CACHED = {"cache-control": "public, max-age=3600"}


class _NoPages(Router):
    "Takes none of the pages that Litestar would add: they load scripts from other hosts, and `document` says more."

    def register(self, value: Any) -> list[Any]:
        "Register nothing."
        return []


def config_of(schema: Schema) -> OpenAPIConfig:
    "Return what the document says of the service as a whole."
    return OpenAPIConfig(
        "iris_nb",
        iris_nb.__version__,
        openapi_router=_NoPages("/openapi", route_handlers=[]),
        render_plugins=[],
        description=f"Tells which {schema.row} it is: {', '.join(schema.classes)}. Every answer is in the audit log.",
        components=Components(security_schemes={"key": _KEY}),
        tags=[
            Tag("predictions", "Asked for, looked up, labelled."),
            Tag("model", "Which one answers."),
            Tag("open inference", "Protocol v2, for the clients of Triton, KServe and others."),
            Tag("mlflow", "MLflow's scoring protocol."),
            Tag("service"),
        ],
    )


@get("/docs", include_in_schema=False, media_type=MediaType.HTML)
async def page() -> Response[str]:
    return Response(_PAGE, headers=_HEADERS, media_type=MediaType.HTML)


@get("/docs/{name:str}", include_in_schema=False)
async def file(name: FromPath[str]) -> Response[Any] | File:
    if name == "start.js":
        return Response(_SCRIPT, media_type="text/javascript", headers=_CACHED)
    if name not in _FILES:
        raise Unknown("There is no such page of the documentation.")
    return File(_static() / name, media_type=_FILES[name], content_disposition_type="inline", headers=_CACHED)


def _static() -> Path:
    "Return the folder of Swagger UI's files, found without importing the package around them."
    found = find_spec("swagger_ui")
    return Path(str(found and found.origin)).parent / "static"


@get("/openapi.json", include_in_schema=False)
async def openapi(request: Request[Any, Any, Any]) -> dict[str, Any]:
    return document(request.app)


def operation_with(body: str, *parameters: Parameter) -> type[Operation]:
    "Return what documents an operation that parses its body and its query itself, to name every fault at once."
    schema = Reference(f"#/components/schemas/{body}")

    @dataclass
    class OperationWithBody(Operation):
        def __post_init__(self) -> None:
            self.request_body = RequestBody({"application/json": OpenAPIMediaType(schema)}, required=True)
            self.parameters = [*(self.parameters or []), *parameters]

    return OperationWithBody


def document(app: Litestar) -> dict[str, Any]:
    "Return Litestar's account of the routes, with msgspec's of the structs: it knows units and unknown fields."
    found = app.openapi_schema.to_schema()
    schema: Schema = app.state.service.schema
    found["components"]["schemas"] |= components(schema)
    found["components"]["schemas"]["InferRequest"]["examples"] = [tensors.example_of(request_schema(schema))]
    operations = [operation for path in found["paths"].values() for operation in path.values()]
    for parameter in chain.from_iterable(operation.get("parameters", []) for operation in operations):
        parameter["schema"] = _without_null(parameter["schema"])
        if parameter["name"] == "label":
            parameter["schema"]["enum"] = list(schema.classes)
        if parameter["name"] == "name":  # of a model; the one that answers may be called by its own name as well
            parameter["schema"]["enum"] = [schema.name]
    for operation in operations:
        if kind := _ALSO.get(operation["operationId"]):
            operation["responses"]["200"]["content"][kind] = {"schema": {"type": "string"}}
    row = row_type(request_schema(schema)).__name__
    text = msgspec.json.encode(found).replace(b'"#/components/schemas/Row"', f'"#/components/schemas/{row}"'.encode())
    return dict(msgspec.json.decode(text))


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    "Return what a query can hold: a parameter that may be left out is not one that may be null."
    rest = {key: value for key, value in schema.items() if key != "oneOf"}
    for choice in schema.get("oneOf", []):
        rest |= choice if choice != {"type": "null"} else {}
    if isinstance(kinds := rest.get("type"), list):
        rest["type"] = next(kind for kind in kinds if kind != "null")
    if "enum" in rest:
        rest["enum"] = [value for value in rest["enum"] if value is not None]
    return rest


routes = [page, file, openapi]
