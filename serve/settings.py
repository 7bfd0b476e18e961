"""What can be set, each as IRIS_NAME in the environment. No other module reads the environment."""

import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from iris_nb.config import ADDRESS, is_address
from iris_nb.keys import Key


class SettingsError(ValueError):
    "The environment asks for something that can't be; the message has one line for each fault."


def words(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return text

    return read


def number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    expected = f"{'a whole number' if kind is int else 'a number'} from {low:,} to {high:,}"

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise ValueError(expected) from None
        if not low <= value <= high:
            raise ValueError(expected)
        return value

    return read


def yes(text: str) -> bool:
    return words("0", "1")(text) == "1"


def listed(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def address(text: str) -> str:
    if not is_address(text):
        raise ValueError(ADDRESS)
    return text


def keys(text: str) -> tuple[Key, ...]:
    pairs = [item.partition(":") for item in listed(text)]
    if not all(name and len(digest) == 64 and set(digest) <= set("0123456789abcdef") for name, _, digest in pairs):
        raise ValueError("name:sha256 pairs with commas between, as `iris-nb key NAME` prints them")
    if len({name for name, _, _ in pairs}) < len(pairs):
        raise ValueError("keys with different names")
    return tuple(Key(name, digest) for name, _, digest in pairs)


def setting(default: Any, about: str, read: Callable[[str], Any] = str) -> Any:
    "A field that knows how its text is read and what it is for."
    return field(default=default, metadata={"about": about, "read": read})


@dataclass(frozen=True)
class Settings:
    home: Path = setting(Path("var"), "folder of everything written at run time", Path)
    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(8000, "port to listen on", number(int, 1, 65535))
    workers: int = setting(1, "processes that answer", number(int, 1, 64))
    database_url: str = setting("", "where the audit log is; by default audit.db in the home folder", address)
    audit_sync: Literal["full", "normal"] = setting(
        "full", "full: on disk; normal: survives a kill", words("full", "normal")
    )
    audit_patience: float = setting(5.0, "seconds to wait for others who write the log", number(float, 0.1, 600))
    queue: int = setting(50_000, "rows that may wait before callers are sent away with 429", number(int, 1, 10_000_000))
    max_rows: int = setting(10_000, "rows that one batch may hold", number(int, 1, 1 << 20))
    max_body: int = setting(4 << 20, "bytes that one request may hold", number(int, 1024, 1 << 30))
    body_seconds: float = setting(20.0, "seconds that a body may take to arrive", number(float, 0.1, 3600))
    api_keys: tuple[Key, ...] = setting((), "name:sha256 of each key that may call; none: anybody may", keys)
    rate_limit: float = setting(0.0, "requests a second for each key; 0: no limit", number(float, 0, 1e6))
    cors_origins: tuple[str, ...] = setting((), "web origins whose pages may call", listed)
    allow_open: bool = setting(False, "1: listen beyond this machine without keys", yes)
    watch_seconds: float = setting(1.0, "how often the champion and the log are looked at", number(float, 0.05, 3600))
    log_level: str = setting("info", "info: all requests; warning: what went wrong", words("info", "warning"))

    @property
    def bundles(self) -> Path:
        return self.home / "bundles"

    @property
    def counts(self) -> Path:
        "Where several workers tell each other what they have counted."
        return self.home / "metrics" / str(self.port)

    @property
    def audit_url(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'audit.db'}"

    @property
    def loopback(self) -> bool:
        "Whether only this machine can connect."
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __post_init__(self) -> None:
        if not (self.loopback or self.api_keys or self.allow_open):
            raise SettingsError(
                f"IRIS_HOST={self.host} can be reached from other machines, and no key is asked for: "
                "set IRIS_API_KEYS (`iris-nb key NAME` makes one), or IRIS_ALLOW_OPEN=1 if that is meant"
            )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        "Read every setting; raises SettingsError that names all faults at once."
        found: dict[str, Any] = {}
        faults = []
        for f in fields(cls):
            name = f"IRIS_{f.name.upper()}"
            if text := environ.get(name, "").strip():
                try:
                    found[f.name] = f.metadata["read"](text)
                except ValueError as expected:
                    shown = "its value" if f.name in ("api_keys", "database_url") else repr(text)
                    faults.append(f"{name}: expected {expected}, got {shown}")
        if faults:
            raise SettingsError("\n".join(faults))
        return cls(**found)
