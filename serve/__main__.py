"""`python -m serve`: the service behind granian, until SIGTERM or Ctrl-C."""

import resource
import shutil
import socket
import sys
from contextlib import suppress

from granian import Granian
from granian.constants import Interfaces, Loops

from serve.logs import config
from serve.settings import Settings, SettingsError, renamed


def _in_use(settings: Settings) -> str:
    "Return why the address can't be listened on, or nothing."
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            where = f"{settings.host}:{settings.port}"
            return f"Can't listen on {where}: {error.strerror or error}. IRIS_PORT sets another port."
    return ""


def _allow_open_files() -> None:
    """Raise the soft limit of open files.

    A connection that sends nothing is closed by no option of granian's, and each is an open file; the usual soft
    limit of 1,024 would be used up by as many silent callers, and the service be deaf.
    """
    with suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        enough = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, enough), hard))


def main() -> int:
    "Serve until a signal ends it; return the exit code."
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    if why := _in_use(settings):
        print(why, file=sys.stderr)
        return 1
    for line in renamed():
        print(line, file=sys.stderr)
    _allow_open_files()
    shutil.rmtree(settings.counts, ignore_errors=True)
    server = Granian(
        "serve.app:create_app",
        factory=True,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        websockets=False,
        backlog=4096,
        backpressure=8192,
        respawn_failed_workers=True,
        workers_kill_timeout=60,
        log_dictconfig=config(settings.log_level),
    )
    server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
