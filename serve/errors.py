# ruff: noqa: N818 (the table gives each error its title; a suffix would only repeat what they are)
"""The one table from what can go wrong to the HTTP problem that the caller gets (RFC 9457)."""

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
from serve.protocols import InferError
from serve.schemas import Fault, Problem

_LONGEST = 200  # characters
MEDIA_TYPE = "application/problem+json"
log = logging.getLogger("serve")


class RequestError(Exception):
    "Why a request gets no answer; the message is a sentence for the caller."

    def __init__(self, detail: str, errors: list[Fault] | None = None, retry_after: int = 0, **headers: str) -> None:
        super().__init__(detail)
        self.errors = errors or []
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if retry_after:
            self.headers["retry-after"] = str(retry_after)


class InvalidInput(RequestError): ...


class NoKey(RequestError): ...


class Unknown(RequestError): ...


class TooLarge(RequestError): ...


class TooSlow(RequestError): ...


class NotJson(RequestError): ...


class UnknownCoding(RequestError): ...


class WrongHost(RequestError): ...


class Busy(RequestError): ...


class NoModel(RequestError): ...


class ModelFailed(RequestError): ...


class LogDown(RequestError): ...


class RowRefused(RequestError): ...


class SourceDown(RequestError): ...


class Closing(RequestError): ...


@dataclass(frozen=True)
class Rule:
    "Status, type and title of the problem that stands for one kind of error."

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
    AuditError: Rule(HTTPStatus.SERVICE_UNAVAILABLE, "log-down", "The audit log can't be used"),
    BundleError: Rule(HTTPStatus.CONFLICT, "bundle-refused", "The model can't be used"),
    TooSlow: Rule(HTTPStatus.REQUEST_TIMEOUT, "too-slow", "The request took too long to arrive"),
    TooLarge: Rule(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", "The request is too large"),
    NotJson: Rule(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not-json", "The body must be JSON"),
    UnknownCoding: Rule(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unknown-coding", "The body's coding is not known"),
    WrongHost: Rule(HTTPStatus.BAD_REQUEST, "wrong-host", "The service does not answer to this host name"),
    Busy: Rule(HTTPStatus.TOO_MANY_REQUESTS, "busy", "Too many requests"),
    NoModel: Rule(HTTPStatus.SERVICE_UNAVAILABLE, "no-model", "There is no model to answer with"),
    ModelFailed: Rule(HTTPStatus.SERVICE_UNAVAILABLE, "model-failed", "The model gives no answer"),
    RowRefused: Rule(HTTPStatus.SERVICE_UNAVAILABLE, "row-refused", "The audit log refuses this input"),
    LogDown: Rule(HTTPStatus.SERVICE_UNAVAILABLE, "log-down", "The audit log can't be used"),
    SourceDown: Rule(HTTPStatus.SERVICE_UNAVAILABLE, "source-down", "The features can't be looked up"),
    Closing: Rule(HTTPStatus.SERVICE_UNAVAILABLE, "closing", "The service is closing"),
}


def rule_of(error: Exception) -> Rule:
    "Return the table's row for an error, or one made from its status where Litestar raised it."
    if found := next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), None):
        return found
    status = HTTPStatus(error.status_code if isinstance(error, HTTPException) else 500)
    if status == HTTPStatus.BAD_REQUEST:
        return TABLE[InvalidInput]
    return Rule(status, status.phrase.lower().replace(" ", "-"), status.phrase)


_QUERY = re.compile(r"(\w://[^\s'\"?]*)\?[^\s'\"]*")
_SECRET = re.compile(r"(?i)(\w*passw\w*\s*=\s*)('[^']*'|\"[^\"]*\"|[^\s&;,'\"]+)")
_PATH = re.compile(r"[^\s'\"]*/([^\s/'\"]*)")


def strip_paths(error: Exception | str) -> str:
    "Return a message with file names instead of paths and addresses, and without passwords, which callers never see."
    text = _SECRET.sub(r"\1…", _QUERY.sub(r"\1", str(error)))
    return _PATH.sub(r"\1", text)


def problem_of(error: Exception, request_id: str) -> tuple[Problem, dict[str, str]]:
    "Return what the caller reads about an error, and the headers that go with it."
    rule = rule_of(error)
    detail, errors, headers = str(error), getattr(error, "errors", []), dict(getattr(error, "headers", None) or {})
    if isinstance(error, HTTPException):
        detail, errors = _short(error.detail), _faults_of(error.extra)
    if isinstance(error, HTTPException) and rule is TABLE[InvalidInput]:
        errors = errors or [Fault("", "", "a JSON body", detail)]
        detail = "; ".join(f"{e.field or 'the body'}: expected {e.expected}" for e in errors[:5]) or detail
    if rule.status == HTTPStatus.NOT_FOUND and isinstance(error, HTTPException):
        detail = "There is nothing at this path; GET / lists what there is."
    if isinstance(error, AuditError | BundleError):
        detail = strip_paths(error)
    if rule.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("retry-after", "1")
    if rule.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("unexpected error", exc_info=error, extra={"request_id": request_id})
        detail, errors = "This is our fault. The service's log says more under this request id.", []
    return Problem(f"urn:problem:{rule.slug}", rule.title, rule.status, detail, request_id, errors), headers


def error_response(error: Exception, request_id: str, path: str = "") -> tuple[int, bytes, dict[str, str]]:
    """Return status, body and headers for an error, in the form that belongs to the path.

    A problem that can't be encoded is answered as a fault of ours.
    """
    problem, headers = problem_of(error, request_id)
    try:
        payload = _encode_for(path, problem)
    except ValueError as unencodable:
        problem, headers = problem_of(RuntimeError(f"a problem can't be encoded: {unencodable}"), request_id)
        payload = _encode_for(path, problem)
    return problem.status, payload, headers | {"content-type": media_type_of(path)}


def media_type_of(path: str) -> str:
    "Return the content type of an error: a client of the Open Inference Protocol knows no problems."
    return "application/json" if is_open_inference(path) else MEDIA_TYPE


def is_open_inference(path: str) -> bool:
    "Return whether a path belongs to the Open Inference Protocol."
    return path == "/v2" or path.startswith("/v2/")


def _encode_for(path: str, problem: Problem) -> bytes:
    if not is_open_inference(path):
        return msgspec.json.encode(problem)
    text = "; ".join(map(str, problem.errors)) or problem.detail  # `detail` has only the first five
    return msgspec.json.encode(InferError(f"{problem.title}. {text}"))


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    "Answer an error that was raised inside Litestar."
    request_id = request.scope["state"].get("request_id", "")
    status, payload, headers = error_response(error, request_id, request.scope["path"])
    return Response(payload, status_code=status, media_type=headers.pop("content-type"), headers=headers)


def error_responses(
    *statuses: int, form: type[msgspec.Struct] = Problem, media_type: str = MEDIA_TYPE
) -> dict[int, ResponseSpec]:
    "Return what a route's documentation says of the errors that it can answer with."
    titles = {s: "; ".join({rule.title: s for rule in TABLE.values() if rule.status == s}) for s in statuses}
    return {s: ResponseSpec(form, False, about, media_type) for s, about in titles.items()}


def _faults_of(extra: Any) -> list[Fault]:
    "Return Litestar's list of wrong parameters and fields as ours."
    found = extra if isinstance(extra, list) else []
    errors = []
    for f in found:
        field = "" if f.get("key") == "data" else str(f.get("key", ""))
        expected, _, got = str(f.get("message", "")).removeprefix("Expected ").partition(", got ")
        pointer = f"/{field}" if field and f.get("source") == "body" else ""
        errors.append(Fault(_short(pointer), _short(field), _short(expected), _short(got) or "something else"))
    return errors


def _short(text: str) -> str:
    "Return text of a caller's that an answer repeats, cut so that a large request makes no large answer."
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
