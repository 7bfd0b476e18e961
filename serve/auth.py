"""Who is calling: API keys, compared in constant time, each with its own rate."""

import hmac
import math
import time
from collections.abc import Mapping
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from iris_nb.keys import digest_of
from serve.errors import Busy, NoKey
from serve.settings import Settings

Connection = ASGIConnection[Any, Any, Any, Any]
MAY_NEED_KEY: list[dict[str, list[str]]] = [{}, {"key": []}]  # for the documentation of guarded routes


class Keys:
    "The keys that are known, and what each has left of its rate."

    def __init__(self, settings: Settings) -> None:
        self.keys, self.limit = settings.api_keys, settings.rate_limit
        self.rate = self.limit / settings.workers  # each worker sees its share of the requests
        self.burst = max(1.0, self.rate)
        self.left = {key.name: (self.burst, time.monotonic()) for key in self.keys}

    def caller(self, headers: Mapping[bytes, bytes]) -> str | None:
        "The name of the caller's key, or None where none is asked for; raises NoKey or Busy."
        if not self.keys:
            return None
        given = digest_of(headers.get(b"x-api-key", b""))
        # Every key is compared, whether an earlier one fitted or not.
        fitting = [key.name for key in self.keys if hmac.compare_digest(key.digest, given)]
        if not fitting:
            raise NoKey("Send a key of this service in the header X-API-Key.", www_authenticate="ApiKey")
        if self.rate:
            self._spend(fitting[0])
        return fitting[0]

    def _spend(self, name: str) -> None:
        "Take one request from a key's bucket, which fills at its rate and holds a second's worth."
        left, since = self.left[name]
        now = time.monotonic()
        left = min(self.burst, left + (now - since) * self.rate)
        if left < 1:
            wait = math.ceil((1 - left) / self.rate)
            raise Busy(f"This key may ask {self.limit:g} times a second; ask again in {wait} s.", retry_after=wait)
        self.left[name] = (left - 1, now)


def needs_key(connection: Connection, _: BaseRouteHandler) -> None:
    "Guard: where the service has keys, the caller needs one."
    keys: Keys = connection.app.state.service.keys
    connection.scope["state"]["caller"] = keys.caller(dict(connection.scope["headers"]))


def always_needs_key(connection: Connection, handler: BaseRouteHandler) -> None:
    "Guard: the caller needs a key, so that a service without keys refuses."
    needs_key(connection, handler)
    if not connection.scope["state"]["caller"]:
        raise NoKey("Only callers with a key may do this, and this service has no keys: set IRIS_API_KEYS.")
