"""The service, made from its settings."""

from logging.config import dictConfig

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide

from serve.errors import answer_error
from serve.logs import config
from serve.middleware import Door, cors_of
from serve.routes import health, model, openapi, predictions, root
from serve.service import Service
from serve.settings import Settings


def create_app(settings: Settings | None = None) -> Litestar:
    "The whole service; without settings, with those of `Settings.from_env`."
    settings = settings or Settings.from_env()
    dictConfig(config(settings.log_level))
    service = Service(settings)
    app = Litestar(
        [*root.routes, *openapi.routes, *health.routes, *predictions.routes, *model.routes],
        lifespan=[service.run],
        state=State({"service": service}),
        dependencies={"service": Provide(lambda: service, sync_to_thread=False)},
        exception_handlers={Exception: answer_error},
        openapi_config=openapi.config,
        cors_config=cors_of(settings),
        request_max_body_size=settings.max_body,
        logging_config=None,
    )
    app.asgi_handler = Door(app, service)
    return app
