"""Reading bodies from strangers: not too long, not too slowly, and JSON.

A body without a content type is refused: a web page of another origin may send one, or one of plain text, without
asking first, while for JSON a browser asks with a preflight request, which CORS answers.
"""

import asyncio
import time
from collections.abc import Container, Mapping
from typing import Any

from litestar.types import Receive

from serve.errors import InvalidInput, NotJson, TooLarge, TooSlow

_RawHeaders = Mapping[bytes, bytes]
_SLOW = "the body takes too long"
NO_TYPE = ""  # among the content types that a route takes: a body without one, from whatever is no web page


class BodyReader:
    "Reads bodies of at most so many bytes that arrive within so many seconds."

    def __init__(self, max_bytes: int, timeout: float) -> None:
        self.max_bytes, self.timeout = max_bytes, timeout
        self.reading: dict[asyncio.Task[Any] | None, float] = {}  # who reads, since when

    async def read(self, headers: _RawHeaders, receive: Receive, takes: Container[str] = ()) -> bytes:
        """Return the whole body; raise NotJson, TooLarge, TooSlow, or InvalidInput where it ends too early.

        A route may take other content types than JSON. A browser says its page's origin with whatever it posts, so
        that a body without a content type and without an origin comes from another program.
        """
        if (kind := headers.get(b"content-type")) is not None:
            _check_content_type(kind, takes)
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > self.max_bytes:
            raise self._too_large()
        # A timer for each request would cost as much as reading it; `cancel_slow` looks at all readers now and then.
        task = asyncio.current_task()
        self.reading[task] = time.monotonic()
        try:
            body = await self._chunks(receive)
        except asyncio.CancelledError as error:
            if error.args != (_SLOW,):
                raise
            raise TooSlow(f"A body has to arrive within {self.timeout:g} s.", connection="close") from None
        finally:
            del self.reading[task]
        if body and kind is None and (NO_TYPE not in takes or b"origin" in headers):
            raise NotJson("Send the header Content-Type: application/json; this request has no content type.")
        return body

    async def _chunks(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size, more = 0, True
        while more:
            message: Any = await receive()
            if message["type"] != "http.request":
                raise InvalidInput("The connection was closed before the body ended.")
            chunks.append(chunk := message.get("body", b""))
            more = message.get("more_body", False)
            if (size := size + len(chunk)) > self.max_bytes:
                raise self._too_large()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def cancel_slow(self) -> None:
        "Give up on bodies that take too long; called now and then."
        late = time.monotonic() - self.timeout
        for task, since in list(self.reading.items()):
            if task and since < late:
                task.cancel(_SLOW)
                task.uncancel()

    def _too_large(self) -> TooLarge:
        return TooLarge(f"A body may have {self.max_bytes:,} bytes.", connection="close")


def _check_content_type(kind: bytes, takes: Container[str]) -> None:
    "Raise NotJson unless a content type is JSON, or one that the route takes besides."
    plain = kind.partition(b";")[0].strip().lower()
    first, _, second = plain.partition(b"/")
    if first == b"application" and (second == b"json" or second.endswith(b"+json")):
        return
    if not plain or plain.decode("latin-1") not in takes:
        raise NotJson(f"Send the header Content-Type: application/json, not {kind[:80].decode('latin-1')!r}.")


def receive_whole(reader: BodyReader, scope: Any, headers: _RawHeaders, receive: Receive) -> Receive:
    "Return a way to receive that reads the whole body once it is first asked for: after the guards, not before."
    done = False

    async def once() -> Any:
        nonlocal done
        if done:
            return await receive()
        done = True
        takes = scope["route_handler"].opt.get("takes", ())
        return {"type": "http.request", "body": await reader.read(headers, receive, takes), "more_body": False}

    return once
