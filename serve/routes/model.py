"""The model that answers."""

from iris_nb.bundle import Card
from litestar import get
from litestar.di import NamedDependency

from serve.errors import NoModel
from serve.service import Service


@get("/model/info", operation_id="model_info", tags=["model"], summary="The card of the model that answers")
async def info(service: NamedDependency[Service]) -> Card:
    return service.model().card


routes = [info]
