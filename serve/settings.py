"""Settings, each read from IRIS_NAME in the environment. No other module of the service reads the environment."""

import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from iris_nb.config import ADDRESS, ConfigError, IrisError, home_folder, is_address
from iris_nb.keys import Key


class SettingsError(IrisError, ValueError):
    "The environment asks for something impossible; the message has one line for each fault."


def _one_of(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return text

    return read


def _number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
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


def _flag(text: str) -> bool:
    return _one_of("0", "1")(text) == "1"


def _comma_separated(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _database(text: str) -> str:
    if not is_address(text):
        raise ValueError(ADDRESS)
    return text


def _address(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("http:// or https://, a host and a port")
    return text.rstrip("/")


def _keys(text: str) -> tuple[Key, ...]:
    if not _comma_separated(text):
        raise ValueError("at least one name:sha256 pair, as `iris-nb key NAME` prints it, or nothing at all")
    pairs = [item.partition(":") for item in _comma_separated(text)]
    if not all(name and len(digest) == 64 and set(digest) <= set("0123456789abcdef") for name, _, digest in pairs):
        raise ValueError("name:sha256 pairs with commas between, as `iris-nb key NAME` prints them")
    if len({name for name, _, _ in pairs}) < len(pairs):
        raise ValueError("keys with different names")
    return tuple(Key(name, digest) for name, _, digest in pairs)


def _host_names(text: str) -> tuple[str, ...]:
    names = tuple(name.lower().rstrip(".") for name in _comma_separated(text))
    if not names or any(set(name) & set("/:@ ") and not name.startswith("[") for name in names):
        raise ValueError("host names with commas between, without scheme and port; * allows any")
    return names


def _home(text: str) -> Path:
    try:
        return home_folder(text)
    except ConfigError as error:
        raise ValueError(f"another folder. {error}") from error


def _setting(default: Any, about: str, read: Callable[[str], Any] = str, secret: bool = False) -> Any:
    "Return a field that knows how its text is read and what it is for."
    return field(default=default, repr=not secret, metadata={"about": about, "read": read, "secret": secret})


_RENAMED = {"audit_timeout": "audit_patience"}  # settings and what they were called before


def _name(setting: str) -> str:
    return f"IRIS_{setting.upper()}"


def _name_in(environ: Mapping[str, str], setting: str) -> str:
    "Return the variable that gives a setting: the one of before where only that is there."
    name = _name(setting)
    return _name(_RENAMED[setting]) if setting in _RENAMED and not environ.get(name, "").strip() else name


def renamed(environ: Mapping[str, str] = os.environ) -> list[str]:
    "Return a line for each setting that is given by the name that it had before."
    return [
        f"{_name(before)} is called {_name(now)} now; the old name is still read."
        for now, before in _RENAMED.items()
        if environ.get(_name(before), "").strip()
    ]


@dataclass(frozen=True)
class Settings:
    "All settings, each with its default."

    home: Path = _setting(
        Path("var"), "folder of everything written at run time; by default var in the repository", _home
    )
    host: str = _setting("127.0.0.1", "address to listen on")
    port: int = _setting(8000, "port to listen on", _number(int, 1, 65535))
    workers: int = _setting(1, "processes that answer", _number(int, 1, 64))
    database_url: str = _setting("", "where the audit log is; by default audit.db in the home folder", _database, True)
    audit_sync: Literal["full", "normal"] = _setting(
        "full",
        "full: on disk at each commit; normal: survives a crash of the process, not a power cut",
        _one_of("full", "normal"),
    )
    audit_timeout: float = _setting(5.0, "seconds to wait for others who write the log", _number(float, 0.1, 600))
    audit_anchor: Path | None = _setting(None, "file elsewhere that the log's ends are noted in, hourly", Path)
    features_url: str = _setting("", "a Feast server to look features up; by default features.db in the home", _address)
    features_seconds: float = _setting(1.0, "seconds to wait for features", _number(float, 0.01, 60))
    queue: int = _setting(50_000, "rows that may wait; more are sent away with 429", _number(int, 1, 10_000_000))
    max_rows: int = _setting(10_000, "rows that one batch may hold", _number(int, 1, 1 << 20))
    max_body: int = _setting(4 << 20, "bytes that one request may hold", _number(int, 1024, 1 << 30))
    body_seconds: float = _setting(20.0, "seconds that a body may take to arrive", _number(float, 0.1, 3600))
    api_keys: tuple[Key, ...] = _setting((), "name:sha256 of each key that may call; none: anybody may", _keys, True)
    rate_limit: float = _setting(0.0, "requests a second for each key; 0: no limit", _number(float, 0, 1e6))
    cors_origins: tuple[str, ...] = _setting((), "web origins whose pages may call", _comma_separated)
    allowed_hosts: tuple[str, ...] = _setting(
        (), "host names that callers use, besides this machine's; needed behind a proxy on this machine", _host_names
    )
    allow_open: bool = _setting(False, "1: listen beyond this machine without keys", _flag)
    watch_seconds: float = _setting(1.0, "how often the champion and the log are looked at", _number(float, 0.05, 3600))
    log_level: str = _setting("info", "info: all requests; warning: what went wrong", _one_of("info", "warning"))

    @property
    def bundles(self) -> Path:
        "Return the folder of the bundles and the pointer to the champion."
        return self.home / "bundles"

    @property
    def counts(self) -> Path:
        "Return the folder that the workers share: counts, and what is left of each key's rate."
        return self.home / "metrics" / str(self.port)

    @property
    def audit_url(self) -> str:
        "Return where the audit log is."
        return self.database_url or f"sqlite:///{self.home / 'audit.db'}"

    @property
    def loopback(self) -> bool:
        "Return whether only this machine can connect."
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
        "Read every setting; raise SettingsError that names all faults at once."
        found: dict[str, Any] = {"home": home_folder()}  # the same for every program, whatever folder it starts in
        faults = []
        for f in fields(cls):
            name = _name_in(environ, f.name)
            if text := environ.get(name, "").strip():
                try:
                    found[f.name] = f.metadata["read"](text)
                except ValueError as expected:
                    shown = "its value" if f.metadata["secret"] else repr(text)
                    faults.append(f"{name}: expected {expected}, got {shown}")
        if faults:
            raise SettingsError("\n".join(faults))
        return cls(**found)
