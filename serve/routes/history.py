"""The audit log: pages of it (keyset pagination), one prediction, and the label that it gets later."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, Parameter

from iris_nb.audit.history import Window
from iris_nb.schema import Schema, shown
from serve.auth import MAY_NEED_KEY, needs_key
from serve.batching import RequestContext
from serve.errors import InvalidInput, Unknown, error_responses
from serve.parsing import parse_label
from serve.routes.health import accepts
from serve.routes.openapi import operation_with
from serve.schemas import Fault, LoggedPrediction, Page, csv_of, logged_prediction, microseconds
from serve.service import Service

_Limit = FromQuery[Annotated[int, Parameter(ge=1, le=1000, description="Rows on a page.")]]
_Before = FromQuery[
    Annotated[str | None, Parameter(pattern=r"^\d{1,18}(-\d{1,18}){2}$", description="`next` of the page before.")]
]
_Moment = FromQuery[Annotated[datetime | None, Parameter(description="RFC 3339; `until` itself is not included.")]]
_Share = FromQuery[Annotated[float | None, Parameter(ge=0, le=1, schema_extra={"minimum": 0}, description="Included.")]]
_Version = FromQuery[Annotated[str | None, Parameter(pattern=r"^[^\x00]*$", description="_Version of the model.")]]
_LABELS: Any = {"status_code": 200, "responses": error_responses(400, 401, 404, 408, 409, 413, 415, 429, 503)}
_FOUND = error_responses(400, 401, 429, 503)


@get("/predictions/history", operation_id="history", summary="What was answered, newest first", responses=_FOUND)
async def history(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    limit: _Limit = 100,
    before: _Before = None,
    since: _Moment = None,
    until: _Moment = None,
    label: FromQuery[str | None] = None,
    model_version: _Version = None,
    min_confidence: _Share = None,
    max_confidence: _Share = None,
) -> Response[Page]:
    _refuse_null(request)
    if label is not None and label not in service.schema.classes:
        expected = f"one of {', '.join(service.schema.classes)}"
        raise InvalidInput(f"label: expected {expected}", [Fault("", "label", expected, shown(label))])
    window = Window(microseconds(since), microseconds(until), label, model_version, min_confidence, max_confidence)
    page = await _page(service, window, limit, before)
    return _as_csv(service.schema, page) if accepts(request, "text/csv", "application/json") else Response(page)


def _refuse_null(request: Request[Any, Any, Any]) -> None:
    "Raise InvalidInput for a bound of `null`, which Litestar takes for one that is not there."
    names = ("since", "until", "min_confidence", "max_confidence")
    if null := [name for name in names if request.query_params.get(name, "").lower() == "null"]:
        faults = [Fault("", name, "a value, or no parameter of that name", '"null"') for name in null]
        raise InvalidInput(f"{', '.join(null)}: expected a value, or no parameter of that name", faults)


async def _page(service: Service, window: Window, limit: int, before: str | None) -> Page:
    "Return a page of the audit log; raise InvalidInput where the cursor is none."
    try:
        found = await asyncio.to_thread(service.audit.log.page, window, limit, before)
    except ValueError as error:
        raise InvalidInput(str(error), [Fault("", "before", "`next` of the page before", shown(before))]) from error
    return Page([logged_prediction(service.schema, row) for row in found.rows], found.next)


async def _logged(service: Service, id: str) -> LoggedPrediction:
    "Return one prediction as the log keeps it; raise Unknown."
    _check_id(id)
    row = await asyncio.to_thread(service.audit.log.get, id)
    if row is None:
        raise _unknown(id)
    return logged_prediction(service.schema, row)


def _unknown(id: str) -> Unknown:
    return Unknown(f"The audit log holds no prediction with the id {id[:80]!r}.")


def _check_id(id: str) -> None:
    "Raise Unknown for text that PostgreSQL can't look up."
    if "\0" in id:
        raise _unknown(id)


def _as_csv(schema: Schema, page: Page) -> Response[Any]:
    "Return a page as a table, with the cursor in a header."
    return Response(csv_of(schema, page), media_type="text/csv", headers={"x-next": page.next} if page.next else {})


@get(
    "/predictions/{id:str}",
    operation_id="prediction",
    summary="All that is known of one",
    responses=_FOUND | error_responses(404),
)
async def prediction(id: FromPath[str], service: NamedDependency[Service]) -> LoggedPrediction:
    return await _logged(service, id)


@post(
    "/predictions/{id:str}/label",
    operation_id="label",
    operation_class=operation_with("LabelRequest"),
    summary="Say what it really was",
    **_LABELS,
)
async def label(
    id: FromPath[str], context: NamedDependency[RequestContext], service: NamedDependency[Service]
) -> LoggedPrediction:
    asked = await asyncio.to_thread(parse_label, service.schema, context.body)
    _check_id(id)
    await asyncio.to_thread(service.audit.log.label, id, asked.label, asked.correct, context.caller)
    return await _logged(service, id)


routes = [
    Router(
        "/",
        route_handlers=[history, prediction, label],
        guards=[needs_key],
        security=MAY_NEED_KEY,
        tags=["predictions"],
    )
]
