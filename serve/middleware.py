"""Middleware in plain ASGI: what is the same for every request, and a fast path for the two busiest routes.

Every request gets an id, security headers, a log line and its place in the metrics; its host name and the spelling
of its path are checked. `POST /predict` and `/predict/batch` are so busy that a framework's request objects would
cost more than the model and the log together. Their handlers name the function that answers them with `fast=`, and
the middleware calls that function itself; without it Litestar calls the handler, which gives the same answer.
"""

import ipaddress
import re
import time
from collections.abc import Awaitable, Callable, Container
from typing import Any

import msgspec
from litestar import Litestar, Request
from litestar.config.cors import CORSConfig
from litestar.types import ASGIApp, Message, Receive, Send
from uuid_utils import uuid7

from serve.batching import RequestContext
from serve.body import receive_whole
from serve.errors import InvalidInput, Unknown, WrongHost, error_response
from serve.service import Service
from serve.settings import Settings

_encode = msgspec.json.Encoder().encode
_Headers = list[tuple[bytes, bytes]]
_Answer = Callable[[Service, RequestContext], Awaitable[msgspec.Struct]]
_SAFE_ID = re.compile(rb"[\w.:/+=@-]{1,128}")
_SECURITY: _Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]
_JSON: _Headers = [(b"content-type", b"application/json"), *_SECURITY]


class RequestMiddleware:
    "Wraps the application; answers the routes that have a fast path itself."

    def __init__(self, app: Litestar, service: Service, fast_path: bool = True) -> None:
        self._app: ASGIApp = app.asgi_handler
        self._service, self._cors, self._hosts = service, cors_of(service.settings), _HostNames(service.settings)
        self._fast: dict[str, _Answer] = {
            route.path: handler.opt["fast"]
            for route in app.routes
            for handler in getattr(route, "route_handlers", [])
            if "fast" in handler.opt
        }
        self._fast_path = fast_path

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        "Answer one request, whatever happens; note it in the log lines and the metrics."
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        start, headers = time.perf_counter(), dict(scope["headers"])
        state: dict[str, Any] = scope["state"]
        state["start"], state["request_id"], state["status"] = start, _request_id(headers), 0
        method, path = scope["method"], scope["path"]
        if path not in self._fast:
            path = _declared(path, self._fast)
        answer = self._fast.get(path) if method == "POST" and self._fast_path else None
        try:
            self._hosts.check(scope, headers)
            if not path:
                raise Unknown("There is nothing at this path, which has empty parts; GET / lists what there is.")
            if answer:
                await self._answer_fast(answer, scope, headers, receive, send)
            else:
                await self._answer(scope, headers, receive, send)
        except Exception as error:
            if state["status"]:  # a part of the answer has left
                raise
            await self._refuse(error, scope, headers, send)
        finally:
            seconds, route = time.perf_counter() - start, path if answer else scope.get("path_template", "unknown")
            status = state["status"] or 500
            self._service.metrics.request(method, route, status, seconds)
            self._service.lines.add(
                state["request_id"], method, scope["path"], status, seconds * 1000, state.get("caller")
            )

    async def _answer_fast(
        self, answer: _Answer, scope: Any, headers: dict[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        "Answer without the framework."
        service, state = self._service, scope["state"]
        caller = state["caller"] = service.keys.caller(headers)
        body = await service.bodies.read(headers, receive)
        context = RequestContext(state["request_id"], caller, state["start"], body, scope["query_string"])
        await _send(200, _encode(await answer(service, context)), _JSON, scope, headers, self._cors, send)

    async def _answer(self, scope: Any, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        "Let Litestar answer; add the headers that every answer has."

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope["state"]["status"] = message["status"]
                there = list(message["headers"])
                names = {name for name, _ in there}
                ours = [*_SECURITY, (b"x-request-id", scope["state"]["request_id"].encode())]
                message["headers"] = there + [pair for pair in ours if pair[0] not in names]
            await send(message)

        await self._app(scope, receive_whole(self._service.bodies, scope, headers, receive), sending)

    async def _refuse(self, error: Exception, scope: Any, headers: dict[bytes, bytes], send: Send) -> None:
        "Answer with what went wrong."
        status, payload, more = error_response(error, scope["state"]["request_id"], scope["path"])
        sent = _SECURITY + [(name.encode(), value.encode()) for name, value in more.items()]
        await _send(status, payload, sent, scope, headers, self._cors, send)


async def _send(
    status: int,
    payload: bytes,
    sent: _Headers,
    scope: Any,
    headers: dict[bytes, bytes],
    cors: CORSConfig | None,
    send: Send,
) -> None:
    "Send an answer that Litestar has no part in."
    state = scope["state"]
    state["status"] = status
    tail = [(b"content-length", b"%d" % len(payload)), (b"x-request-id", state["request_id"].encode())]
    if cors and b"origin" in headers:
        tail += _cors_headers(headers[b"origin"], cors)
    await send({"type": "http.response.start", "status": status, "headers": sent + tail})
    await send({"type": "http.response.body", "body": payload, "more_body": False})


def _declared(path: str, lenient: Container[str]) -> str:
    """Return the path as it is declared, or nothing where it is another spelling of one.

    Litestar takes `/metrics//` for `/metrics`, and a proxy that keeps `/metrics` inside does not. Only the paths that
    callers predict at may be written with a slash too many.
    """
    plain = "/" + "/".join(filter(None, path.split("/")))
    return path if plain == path else plain if plain in lenient else ""


async def request_context(request: Request[Any, Any, Any]) -> RequestContext:
    "Return the request as the handlers of Litestar get it; a dependency, so that the guards come before the body."
    state = request.scope["state"]
    start, request_id = state.get("start") or time.perf_counter(), state.get("request_id") or str(uuid7())
    body = await request.body()
    return RequestContext(request_id, state.get("caller"), start, body, request.scope["query_string"])


def _request_id(headers: dict[bytes, bytes]) -> str:
    "Return the caller's id for the request where it is harmless, or a new one."
    given = headers.get(b"x-request-id", b"")
    return given.decode() if given and _SAFE_ID.fullmatch(given) else str(uuid7())


class _HostNames:
    """The host names that the service answers to, which keeps DNS rebinding out.

    A page of another site can have its own name lead to this machine; it can't send another Host header. So a service
    that only this machine reaches answers to the names of this machine, to the address that was called, and to
    IRIS_ALLOWED_HOSTS. One that others reach has names that it can't know: it answers to all, unless the setting
    names them. An IP address, and a name without a dot, are always answered: rebinding needs a name in the public DNS.
    """

    def __init__(self, settings: Settings) -> None:
        self._names = {"localhost", settings.host.lower(), *settings.allowed_hosts}
        self._any = "*" in self._names or not (settings.loopback or settings.allowed_hosts)
        self._known = set[bytes]()  # headers that were checked already

    def check(self, scope: Any, headers: dict[bytes, bytes]) -> None:
        "Raise WrongHost for another name, InvalidInput where HTTP/1.1 wants one Host header and there is not one."
        if headers.get(b"host") in self._known and len(headers) == len(scope["headers"]):
            return  # the quick way for most requests: a known host, and no header that stands twice
        # granian adds an empty one where there is none.
        hosts = [value for name, value in scope["headers"] if name == b"host" and value]
        if len(hosts) > 1 or (not hosts and scope["http_version"] == "1.1"):
            raise InvalidInput(f"Send one Host header, not {len(hosts)}.", connection="close")
        if not hosts:
            return
        name = _host_name(hosts[0].decode("latin-1"))
        if not (self._any or self._is_allowed(name) or _is_address(name) or name == (scope.get("server") or [""])[0]):
            raise WrongHost(f"This service does not answer to the host {name[:80]!r}: name it in IRIS_ALLOWED_HOSTS.")
        if len(self._known) < 100:
            self._known.add(hosts[0])

    def _is_allowed(self, name: str) -> bool:
        return (
            "." not in name
            or name in self._names
            or name.endswith(".localhost")
            or f"*.{name.partition('.')[2]}" in self._names
        )


def _host_name(host: str) -> str:
    "Return the name in a Host header: without port, in lower case, an IPv6 address without its brackets."
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower().rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def cors_of(settings: Settings) -> CORSConfig | None:
    "Return which web pages may call; None where no origin is set."
    shown = ["x-request-id", "x-next", "retry-after"]
    return CORSConfig(list(settings.cors_origins), expose_headers=shown) if settings.cors_origins else None


def _cors_headers(origin: bytes, cors: CORSConfig) -> _Headers:
    "Return what lets a web page of an allowed origin read an answer."
    if not cors.is_origin_allowed(origin.decode("latin-1")):
        return []
    return [
        (b"access-control-allow-origin", b"*" if cors.is_allow_all_origins else origin),
        (b"access-control-expose-headers", ", ".join(cors.expose_headers).encode()),
        (b"vary", b"Origin"),
    ]
