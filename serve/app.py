"""The service, made from its settings."""

from logging.config import dictConfig

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide

from iris_nb.schema import Schema
from iris_nb.table import SCHEMA
from serve.errors import answer_error
from serve.logs import config
from serve.middleware import RequestMiddleware, cors_of, request_context
from serve.routes import health, history, invocations, model, open_inference, openapi, predictions, root
from serve.service import Service
from serve.settings import Settings


def create_app(settings: Settings | None = None, fast_path: bool = True, schema: Schema = SCHEMA) -> Litestar:
    """Return the whole service; without settings, with those of `Settings.from_env`.

    Without the fast path every request goes through Litestar's handlers, which give the same answers.
    """
    settings = settings or Settings.from_env()
    dictConfig(config(settings.log_level))
    service = Service(settings, schema)
    modules = (root, openapi, health, predictions, history, model, open_inference, invocations)
    app = Litestar(
        [handler for module in modules for handler in module.routes],
        lifespan=[service.run],
        state=State({"service": service}),
        dependencies={
            "service": Provide(lambda: service, sync_to_thread=False),
            "context": Provide(request_context),
        },
        exception_handlers={Exception: answer_error},
        openapi_config=openapi.config_of(schema),
        cors_config=cors_of(settings),
        request_max_body_size=None,  # `BodyReader` bounds it, in size and in time
        logging_config=None,
    )
    app.asgi_handler = RequestMiddleware(app, service, fast_path)
    return app
