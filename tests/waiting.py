"""Waiting for a condition, never for a length of time."""

import time
from collections.abc import Callable


def wait_until(holds: Callable[[], object], what: str, patience: float = 60) -> None:
    "Return when `holds` does; fail after `patience` seconds."
    end = time.monotonic() + patience
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience:g} s in vain: {what}")
        time.sleep(0.02)
