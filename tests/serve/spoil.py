"""Requests with something wrong somewhere."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

JUNK: list[Any] = [None, True, -1, 2.5, 1e400, float("nan"), 10**30, 10**400, "", "area", "X", "\ud800", "FP64"]
JUNK += [[], [[]], [[1, 2]], [None], [2], [1, 1], {}, {"a": 1}, {"binary_data_size": 8}, {"binary_data_size": 10**20}]


def spoilt(request: dict[str, Any], count: int, seed: int = 1) -> Iterator[bytes]:
    "Yield a request as JSON so many times, each time with one to three values replaced or gone."
    chance = random.Random(seed)
    for _ in range(count):
        found: Any = copy.deepcopy(request)
        for _ in range(chance.randint(1, 3)):
            *way, last = chance.choice([path for path in _paths(found) if path] or [("inputs",)])
            place = found
            for step in way:
                place = place[step]
            place[last] = copy.deepcopy(chance.choice(JUNK))
            if chance.random() < 0.2:
                del place[last]
        yield json.dumps(found).encode(errors="replace")


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in parts:
        yield from _paths(part, (*path, step))
