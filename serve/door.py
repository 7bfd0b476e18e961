"""What is the same for every request, in plain ASGI: id, key, body limit, headers, log line, measurement.

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

from serve.engine import Call
from serve.errors import MEDIA_TYPE, InvalidInput, NotJson, TooLarge, problem_of
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


def cors_of(settings: Settings) -> CORSConfig | None:
    "Which web pages may call; None where no origin is set."
    shown = ["x-request-id", "x-next", "retry-after"]
    return CORSConfig(list(settings.cors_origins), expose_headers=shown) if settings.cors_origins else None


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
        self.keys, self.metrics, self.most = service.keys, service.metrics, service.settings.max_body
        self.cors = cors_of(service.settings)
        self.lines = service.lines

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.inside(scope, receive, send)
        arrived = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if given and SAFE_ID.fullmatch(given) else str(uuid7())
        scope["state"]["request_id"] = request_id
        path = scope["path"]
        if scope["method"] == "POST" and (path in self.lean or (path := normalize_path(path)) in self.lean):
            status, caller = await self._lean(scope, headers, Call(request_id, None, arrived), path, receive, send)
        else:
            status, caller = await self._ordinary(scope, request_id, receive, send)
            path = scope.get("path_template", "unknown")
        seconds = time.perf_counter() - arrived
        self.metrics.request(scope["method"], path, status, seconds)
        self.lines.add(request_id, scope["method"], scope["path"], status, seconds * 1000, caller)
        return None

    async def _lean(
        self, scope: Any, headers: dict[bytes, bytes], call: Call, path: str, receive: Receive, send: Send
    ) -> tuple[int, str | None]:
        "Answer without the framework."
        caller = None
        try:
            if caller := self.keys.caller(headers):
                call = Call(call.request_id, caller, call.start)
            body = await read_body(headers, receive, self.most)
            payload, status, sent = encode(await self.lean[path](Ask(call, body, scope["query_string"]))), 200, JSON
        except Exception as error:
            problem, more = problem_of(error, call.request_id)
            payload, status = encode(problem), problem.status
            sent = PROBLEM + [(name.encode(), value.encode()) for name, value in more.items()]
        tail = [(b"content-length", b"%d" % len(payload)), (b"x-request-id", call.request_id.encode())]
        if self.cors and b"origin" in headers:
            tail += self._cors(headers[b"origin"])
        await send({"type": "http.response.start", "status": status, "headers": sent + tail})
        await send({"type": "http.response.body", "body": payload, "more_body": False})
        return status, caller

    def _cors(self, origin: bytes) -> Headers:
        "What lets a web page of an allowed origin read the answer."
        if not self.cors or not self.cors.is_origin_allowed(origin.decode("latin-1")):
            return []
        shown = ", ".join(self.cors.expose_headers).encode()
        allowed = b"*" if self.cors.is_allow_all_origins else origin
        return [
            (b"access-control-allow-origin", allowed),
            (b"access-control-expose-headers", shown),
            (b"vary", b"Origin"),
        ]

    async def _ordinary(self, scope: Any, request_id: str, receive: Receive, send: Send) -> tuple[int, str | None]:
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

        await self.inside(scope, receive, sending)
        return status, scope["state"].get("caller")


async def read_body(headers: dict[bytes, bytes], receive: Receive, most: int) -> bytes:
    "The whole body; raises NotJson where it says to be something else, TooLarge where it exceeds `most`."
    kind = headers.get(b"content-type", b"application/json")
    if kind != b"application/json" and not is_json(kind):
        raise NotJson(f"Send the header Content-Type: application/json, not {kind[:80].decode('latin-1')}.")
    announced = headers.get(b"content-length", b"")
    chunks: list[bytes] = []
    size, more = int(announced) if announced.isdigit() else 0, True
    while more and size <= most:
        message: Any = await receive()
        if message["type"] != "http.request":
            raise InvalidInput("The connection was closed before the body ended.")
        chunks.append(message.get("body", b""))
        size, more = sum(map(len, chunks)), message.get("more_body", False)
    if size > most:
        raise TooLarge(f"A body may have {most:,} bytes.", connection="close")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def is_json(kind: bytes) -> bool:
    first, _, second = kind.partition(b";")[0].strip().lower().partition(b"/")
    return first == b"application" and (second == b"json" or second.endswith(b"+json"))
