"""What is the same for every request, in plain ASGI: id, body, key, headers, log line, measurement.

Two routes are busy enough that a framework's request objects would cost more than the model and the log
together. They are declared to Litestar like all others (its router documents them) with `lean=` naming the
function that answers them, and the door calls that function itself.
"""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.types import ASGIApp, Message, Receive, Send
from litestar.utils.path import normalize_path
from uuid_utils import uuid7

from serve.batching import Call
from serve.body import replay
from serve.errors import MEDIA_TYPE, problem_of
from serve.service import Service
from serve.settings import Settings

encode = msgspec.json.Encoder().encode
Headers = list[tuple[bytes, bytes]]
SAFE_ID = re.compile(rb"[\w.:/+=@-]{1,128}")
SECURITY: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]
JSON: Headers = [(b"content-type", b"application/json"), *SECURITY]
PROBLEM: Headers = [(b"content-type", MEDIA_TYPE.encode()), *SECURITY]


@dataclass(frozen=True, slots=True)
class Ask:
    "A request, as much of it as a lean route needs."

    call: Call
    body: bytes
    query: bytes


Lean = Callable[[Ask], Awaitable[msgspec.Struct]]


class Door:
    def __init__(self, app: Litestar, service: Service) -> None:
        self.inside: ASGIApp = app.asgi_handler
        self.lean: dict[str, Lean] = {
            route.path: partial(handler.opt["lean"], service)
            for route in app.routes
            for handler in getattr(route, "route_handlers", [])
            if "lean" in handler.opt
        }
        self.bodies, self.keys, self.metrics, self.lines = service.bodies, service.keys, service.metrics, service.lines
        self.cors = cors_of(service.settings)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.inside(scope, receive, send)
        arrived = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if given and SAFE_ID.fullmatch(given) else str(uuid7())
        scope["state"]["request_id"] = request_id
        method, path = scope["method"], scope["path"]
        if method == "POST" and (path in self.lean or (path := normalize_path(path)) in self.lean):
            status, caller = await self._lean(scope, headers, Call(request_id, None, arrived), path, receive, send)
        else:
            status, caller = await self._ordinary(scope, headers, request_id, receive, send)
            path = scope.get("path_template", "unknown")
        seconds = time.perf_counter() - arrived
        self.metrics.request(method, path, status, seconds)
        self.lines.add(request_id, method, scope["path"], status, seconds * 1000, caller)
        return None

    async def _lean(
        self, scope: Any, headers: dict[bytes, bytes], call: Call, path: str, receive: Receive, send: Send
    ) -> tuple[int, str | None]:
        "Answer without the framework."
        caller = None
        try:
            if caller := self.keys.caller(headers):
                call = Call(call.request_id, caller, call.start)
            ask = Ask(call, await self.bodies.read(headers, receive), scope["query_string"])
            payload = encode(await self.lean[path](ask))
        except Exception as error:
            return await self._refuse(error, headers, call.request_id, send), caller
        await self._send(200, payload, JSON, headers, call.request_id, send)
        return 200, caller

    async def _ordinary(
        self, scope: Any, headers: dict[bytes, bytes], request_id: str, receive: Receive, send: Send
    ) -> tuple[int, str | None]:
        "Let Litestar answer; add the headers that every answer has."
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                there = list(message["headers"])
                names = {name for name, _ in there}
                ours = [*SECURITY, (b"x-request-id", request_id.encode())]
                message["headers"] = there + [pair for pair in ours if pair[0] not in names]
            await send(message)

        if scope["method"] == "POST":
            try:
                receive = replay(await self.bodies.read(headers, receive))
            except Exception as error:
                return await self._refuse(error, headers, request_id, send), None
        await self.inside(scope, receive, sending)
        return status, scope["state"].get("caller")

    async def _refuse(self, error: Exception, headers: dict[bytes, bytes], request_id: str, send: Send) -> int:
        "Tell what went wrong; the status."
        problem, more = problem_of(error, request_id)
        sent = PROBLEM + [(name.encode(), value.encode()) for name, value in more.items()]
        await self._send(problem.status, encode(problem), sent, headers, request_id, send)
        return problem.status

    async def _send(
        self, status: int, payload: bytes, sent: Headers, headers: dict[bytes, bytes], request_id: str, send: Send
    ) -> None:
        tail = [(b"content-length", b"%d" % len(payload)), (b"x-request-id", request_id.encode())]
        if self.cors and b"origin" in headers:
            tail += shared_with(headers[b"origin"], self.cors)
        await send({"type": "http.response.start", "status": status, "headers": sent + tail})
        await send({"type": "http.response.body", "body": payload, "more_body": False})


def cors_of(settings: Settings) -> CORSConfig | None:
    "Which web pages may call; None where no origin is set."
    shown = ["x-request-id", "x-next", "retry-after"]
    return CORSConfig(list(settings.cors_origins), expose_headers=shown) if settings.cors_origins else None


def shared_with(origin: bytes, cors: CORSConfig) -> Headers:
    "What lets a web page of an allowed origin read an answer."
    if not cors.is_origin_allowed(origin.decode("latin-1")):
        return []
    return [
        (b"access-control-allow-origin", b"*" if cors.is_allow_all_origins else origin),
        (b"access-control-expose-headers", ", ".join(cors.expose_headers).encode()),
        (b"vary", b"Origin"),
    ]
