"""Reading bodies from strangers: not too long, not too slowly, and JSON."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from litestar.types import Receive

from serve.errors import InvalidInput, NotJson, TooLarge, TooSlow

RawHeaders = Mapping[bytes, bytes]
SLOW = "the body takes too long"


class Bodies:
    "Reads bodies of at most so many bytes that arrive within so many seconds."

    def __init__(self, most: int, patience: float) -> None:
        self.most, self.patience = most, patience
        self.reading: dict[asyncio.Task[Any] | None, float] = {}  # who reads, since when

    async def read(self, headers: RawHeaders, receive: Receive) -> bytes:
        "The whole body; raises NotJson, TooLarge, TooSlow, or InvalidInput where it ends too early."
        check_kind(headers.get(b"content-type", b"application/json"))
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > self.most:
            raise self._too_large()
        # A timer for each request would cost as much as reading it; a look at who is still here now and then does not.
        task = asyncio.current_task()
        self.reading[task] = time.monotonic()
        try:
            return await self._chunks(receive)
        except asyncio.CancelledError as error:
            if error.args != (SLOW,):
                raise
            raise TooSlow(f"A body has to arrive within {self.patience:g} s.", connection="close") from None
        finally:
            del self.reading[task]

    async def _chunks(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size, more = 0, True
        while more:
            message: Any = await receive()
            if message["type"] != "http.request":
                raise InvalidInput("The connection was closed before the body ended.")
            chunks.append(chunk := message.get("body", b""))
            more = message.get("more_body", False)
            if (size := size + len(chunk)) > self.most:
                raise self._too_large()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def hurry(self) -> None:
        "Give up on bodies that take too long; called now and then."
        late = time.monotonic() - self.patience
        for task, since in list(self.reading.items()):
            if task and since < late:
                task.cancel(SLOW)
                task.uncancel()

    def _too_large(self) -> TooLarge:
        return TooLarge(f"A body may have {self.most:,} bytes.", connection="close")


def check_kind(kind: bytes) -> None:
    "Raise NotJson unless a content type is JSON."
    first, _, second = kind.partition(b";")[0].strip().lower().partition(b"/")
    if first != b"application" or (second != b"json" and not second.endswith(b"+json")):
        raise NotJson(f"Send the header Content-Type: application/json, not {kind[:80].decode('latin-1')}.")


def replay(body: bytes) -> Receive:
    "A way to receive a body that was read already."

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
