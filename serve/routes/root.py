"""The way in: what this is and what there is."""

from litestar import Router, get
from litestar.di import NamedDependency

import iris_nb
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
    schema, costs = service.schema, [list(row) for row in service.schema.costs]
    features = [schemas.feature_of(kind) for kind in schema.features]
    return schemas.Root(
        "iris_nb", iris_nb.__version__, model, schema.row, list(schema.classes), features, costs, _LINKS
    )


routes = [Router("/", route_handlers=[root], tags=["service"])]
