"""The way in: what this is and what there is."""

from litestar import Router, get
from litestar.di import NamedDependency

import iris_nb
from iris_nb.table import SCHEMA
from serve import schemas
from serve.service import Service

_LINKS = {
    "documentation": "/docs",
    "openapi": "/openapi.json",
    "predict": "/predict",
    "predict_batch": "/predict/batch",
    "history": "/predictions/history",
    "model": "/model/info",
    "health": "/health",
    "metrics": "/metrics",
}


@get("/", operation_id="root", summary="Name, version and links")
async def root(service: NamedDependency[Service]) -> schemas.Root:
    model = service.reloader.model.card.folder if service.reloader.model else None
    return schemas.Root("iris_nb", iris_nb.__version__, model, SCHEMA.row, list(SCHEMA.classes), _LINKS)


routes = [Router("/", route_handlers=[root], tags=["service"])]
