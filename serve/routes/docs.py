"""The documentation, for people (/docs) and for programs (/openapi.json); every file comes from here."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.openapi.config import OpenAPIConfig
from litestar.params import FromPath
from litestar.response import File

import iris_nb
from serve import wire
from serve.errors import Unknown

FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
SCRIPT = """SwaggerUIBundle({url: "/openapi.json", dom_id: "#ui", deepLinking: true, validatorUrl: null})"""
PAGE = """<!doctype html>
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
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'"
}
config = OpenAPIConfig("iris_nb", iris_nb.__version__, path="/openapi")


@get("/docs", include_in_schema=False, media_type=MediaType.HTML)
async def page() -> Response[str]:
    return Response(PAGE, headers=HEADERS, media_type=MediaType.HTML)


@get("/docs/{name:str}", include_in_schema=False)
async def file(name: FromPath[str]) -> Response[Any] | File:
    if name == "start.js":
        return Response(SCRIPT, media_type="text/javascript")
    if name not in FILES:
        raise Unknown("There is no such page of the documentation.")
    return File(static() / name, content_disposition_type="inline")


def static() -> Path:
    "Swagger UI's files, found without importing the package around them."
    spec = find_spec("swagger_ui")
    assert spec is not None and spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "static"


@get("/openapi.json", include_in_schema=False)
async def openapi(request: Request[Any, Any, Any]) -> dict[str, Any]:
    document = request.app.openapi_schema.to_schema()
    return document


routes = [page, file, openapi]
