"""Who is calling: API keys, compared in constant time, each with a rate of its own (a token bucket)."""

import fcntl
import hmac
import math
import mmap
import os
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from iris_nb.keys import digest_of
from serve.errors import Busy, NoKey
from serve.settings import Settings

_Connection = ASGIConnection[Any, Any, Any, Any]
MAY_NEED_KEY: list[dict[str, list[str]]] = [{}, {"key": []}]  # for the documentation of guarded routes


class TokenBuckets:
    """A token bucket for each key: it fills at the rate, and holds a second's worth.

    With a file the buckets are shared by all workers: a caller with one kept connection reaches only one of them,
    and would otherwise get a part of its rate. A bucket is its tokens and the time when they were counted; the
    monotonic clock is the same in all processes of a machine.
    """

    _BUCKET = struct.Struct("dd")

    def __init__(self, count: int, rate: float, file: Path | None = None) -> None:
        self.rate, self.burst = rate, max(1.0, rate)
        self._file = -1
        self._buckets: mmap.mmap | bytearray = bytearray(count * self._BUCKET.size)
        if file and count:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
            with self._alone():
                if file.stat().st_size < len(self._buckets):  # zeros: full, as nothing was spent yet
                    os.ftruncate(self._file, len(self._buckets))
            self._buckets = mmap.mmap(self._file, len(self._buckets))

    def spend(self, bucket: int) -> float:
        "Take one token; return 0, or the seconds until there is one."
        with self._alone():
            at, now = bucket * self._BUCKET.size, time.monotonic()
            tokens, counted = self._BUCKET.unpack_from(self._buckets, at)
            tokens = self.burst if not counted else min(self.burst, tokens + (now - counted) * self.rate)
            if tokens < 1:
                return float(1 - tokens) / self.rate
            self._BUCKET.pack_into(self._buckets, at, tokens - 1, now)
            return 0.0

    @contextmanager
    def _alone(self) -> Iterator[None]:
        "Keep the other workers out; within a worker only the event loop is here."
        if self._file < 0:
            yield
            return
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)


class Keys:
    "The keys that are known, and what each has left of its rate."

    def __init__(self, settings: Settings) -> None:
        self.keys, self.limit = settings.api_keys, settings.rate_limit
        shared = settings.counts / "rates" if settings.workers > 1 and self.limit else None
        self._buckets = TokenBuckets(len(self.keys), self.limit, shared)

    def caller(self, headers: Mapping[bytes, bytes]) -> str | None:
        "Return the name of the caller's key, or None where none is asked for; raise NoKey or Busy."
        if not self.keys:
            return None
        given = digest_of(headers.get(b"x-api-key", b""))
        # Every key is compared, whether an earlier one fitted or not.
        fitting = [i for i, key in enumerate(self.keys) if hmac.compare_digest(key.digest, given)]
        if not fitting:
            raise NoKey("Send a key of this service in the header X-API-Key.", www_authenticate="ApiKey")
        if self.limit and (seconds := self._buckets.spend(fitting[0])):
            wait = math.ceil(seconds)
            raise Busy(f"This key may ask {self.limit:g} times a second; ask again in {wait} s.", retry_after=wait)
        return self.keys[fitting[0]].name


def needs_key(connection: _Connection, _: BaseRouteHandler) -> None:
    "Guard: where the service has keys, the caller needs one."
    keys: Keys = connection.app.state.service.keys
    connection.scope["state"]["caller"] = keys.caller(dict(connection.scope["headers"]))


def always_needs_key(connection: _Connection, handler: BaseRouteHandler) -> None:
    "Guard: the caller needs a key, so that a service without keys refuses."
    needs_key(connection, handler)
    if not connection.scope["state"]["caller"]:
        raise NoKey("Only callers with a key may do this, and this service has no keys: set IRIS_API_KEYS.")
