"""The one table from what can go wrong to what the caller is told (RFC 9457)."""

import logging
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi import ResponseSpec

from iris_nb.audit.log import AuditConflict, AuditError, AuditMissing
from iris_nb.bundle import BundleError
from serve.schemas import Fault, Problem

MEDIA_TYPE = "application/problem+json"
log = logging.getLogger("serve")


class Refused(Exception):  # noqa: N818 (nobody sees the name; the table gives the title)
    "Why a request gets no answer; the message is a sentence for the caller."

    def __init__(self, detail: str, errors: list[Fault] | None = None, retry_after: int = 0, **headers: str) -> None:
        super().__init__(detail)
        self.errors = errors or []
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if retry_after:
            self.headers["retry-after"] = str(retry_after)


class InvalidInput(Refused): ...


class NoKey(Refused): ...


class Unknown(Refused): ...


class TooLarge(Refused): ...


class TooSlow(Refused): ...


class NotJson(Refused): ...


class Busy(Refused): ...


class NoModel(Refused): ...


class LogDown(Refused): ...


class Closing(Refused): ...


@dataclass(frozen=True)
class Rule:
    "How one kind of error is told."

    status: HTTPStatus
    slug: str
    title: str


TABLE: dict[type[Exception], Rule] = {
    InvalidInput: Rule(HTTPStatus.BAD_REQUEST, "invalid-input", "The input can't be used"),
    ValidationException: Rule(HTTPStatus.BAD_REQUEST, "invalid-input", "The input can't be used"),
    NoKey: Rule(HTTPStatus.UNAUTHORIZED, "no-key", "A valid API key is needed"),
    Unknown: Rule(HTTPStatus.NOT_FOUND, "not-found", "There is no such thing"),
    AuditMissing: Rule(HTTPStatus.NOT_FOUND, "not-found", "There is no such thing"),
    AuditConflict: Rule(HTTPStatus.CONFLICT, "conflict", "This contradicts what is known"),
    AuditError: Rule(HTTPStatus.SERVICE_UNAVAILABLE, "log-down", "The prediction log can't be used"),
    BundleError: Rule(HTTPStatus.CONFLICT, "bundle-refused", "The model can't be used"),
    TooSlow: Rule(HTTPStatus.REQUEST_TIMEOUT, "too-slow", "The request took too long to arrive"),
    TooLarge: Rule(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", "The request is too large"),
    NotJson: Rule(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not-json", "The body must be JSON"),
    Busy: Rule(HTTPStatus.TOO_MANY_REQUESTS, "busy", "Too many requests"),
    NoModel: Rule(HTTPStatus.SERVICE_UNAVAILABLE, "no-model", "There is no model to answer with"),
    LogDown: Rule(HTTPStatus.SERVICE_UNAVAILABLE, "log-down", "The prediction log can't be used"),
    Closing: Rule(HTTPStatus.SERVICE_UNAVAILABLE, "closing", "The service is closing"),
}


def rule_of(error: Exception) -> Rule:
    "The table's row for an error, or one made from its status where Litestar raised it."
    if found := next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), None):
        return found
    status = HTTPStatus(error.status_code if isinstance(error, HTTPException) else 500)
    if status == HTTPStatus.BAD_REQUEST:
        return TABLE[InvalidInput]
    return Rule(status, status.phrase.lower().replace(" ", "-"), status.phrase)


def without_places(error: Exception | str) -> str:
    "A message with file names instead of paths and addresses: those are for the log, not for callers."
    return re.sub(r"[^\s'\"]*/([^\s/'\"]*)", r"\1", str(error))


def problem_of(error: Exception, request_id: str) -> tuple[Problem, dict[str, str]]:
    "What the caller is told about an error, and the headers that go with it."
    rule = rule_of(error)
    detail, errors, headers = str(error), getattr(error, "errors", []), dict(getattr(error, "headers", None) or {})
    if isinstance(error, HTTPException):
        detail, errors = error.detail, faults_of(error.extra)
    if isinstance(error, HTTPException) and rule is TABLE[InvalidInput]:
        errors = errors or [Fault("", "", "a JSON body", error.detail)]
        detail = "; ".join(f"{e.field or 'the body'}: expected {e.expected}" for e in errors) or detail
    if rule.status == HTTPStatus.NOT_FOUND and isinstance(error, HTTPException):
        detail = "There is nothing at this path; GET / lists what there is."
    if isinstance(error, AuditError | BundleError):
        detail = without_places(error)
    if rule.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("retry-after", "1")
    if rule.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("unexpected error", exc_info=error, extra={"request_id": request_id})
        detail, errors = "This is our fault. The service's log says more under this request id.", []
    return Problem(f"urn:problem:{rule.slug}", rule.title, rule.status, detail, request_id, errors), headers


def faults_of(extra: Any) -> list[Fault]:
    "Litestar's list of wrong parameters and fields as ours."
    found = extra if isinstance(extra, list) else []
    errors = []
    for f in found:
        field = "" if f.get("key") == "data" else str(f.get("key", ""))
        expected, _, got = str(f.get("message", "")).removeprefix("Expected ").partition(", got ")
        pointer = f"/{field}" if field and f.get("source") == "body" else ""
        errors.append(Fault(pointer, field, expected, got or "something else"))
    return errors


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    "Litestar's way to the table."
    problem, headers = problem_of(error, request.scope["state"].get("request_id", ""))
    return Response(msgspec.json.encode(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def told(*statuses: int) -> dict[int, ResponseSpec]:
    "What a route's documentation says of the errors it can answer with."
    titles = {s: "; ".join({rule.title: s for rule in TABLE.values() if rule.status == s}) for s in statuses}
    return {s: ResponseSpec(Problem, False, about, MEDIA_TYPE) for s, about in titles.items()}
