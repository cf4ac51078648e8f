import os
import sys
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

APPLICATION = "config.asgi:application"
LAST_SECONDS = "1"
"""What the server itself waits for at its end, when `config.shutdown` has closed and answered what there was."""


# Uvicorn takes uvloop by itself. Granian and Hypercorn have their loop handle SIGTERM, and uvloop does not tell how:
# `config.shutdown` could not pass the signal on.


def daphne() -> list[str]:
    return ["--bind", settings.HOST, "--port", settings.PORT]


def uvicorn() -> list[str]:
    return [
        *("--host", settings.HOST, "--port", settings.PORT, "--workers", str(settings.WEB_CONCURRENCY)),
        *("--lifespan", "on", "--timeout-graceful-shutdown", LAST_SECONDS),
        *("--ws", "websockets-sansio", "--ws-per-message-deflate", "false"),  # compressing takes memory per socket
        "--no-proxy-headers",  # the site reads them itself, as TRUSTED_PROXY_COUNT says
    ]


def granian() -> list[str]:
    return [
        *("--host", settings.HOST, "--port", settings.PORT, "--workers", str(settings.WEB_CONCURRENCY)),
        *("--interface", "asgi", "--loop", "asyncio", "--http", "1"),
        *("--backpressure", "10000"),  # connections of a process; it takes no more, and each WebSocket is one
        *("--workers-kill-timeout", "9"),
    ]


def hypercorn() -> list[str]:
    # Itself the one process: it keeps SIGTERM from its workers, whose open WebSockets then hold up the end for ever.
    return ["--bind", f"{settings.HOST}:{settings.PORT}", "--workers", "0", "--graceful-timeout", LAST_SECONDS]


SERVERS: dict[str, Callable[[], list[str]]] = {
    server.__name__: server for server in (daphne, uvicorn, granian, hypercorn)
}
OF_ONE_PROCESS = {"daphne", "hypercorn"}


class Command(BaseCommand):
    help = (
        "Serves the site by SERVER (daphne, uvicorn, granian, hypercorn) at HOST and PORT in WEB_CONCURRENCY processes."
    )

    def handle(self, **options: Any) -> None:
        server = settings.SERVER
        if server not in SERVERS:
            raise CommandError(f"SERVER is {server!r}. It can be {', '.join(SERVERS)}.")
        if settings.WEB_CONCURRENCY > 1 and server in OF_ONE_PROCESS:
            raise CommandError(
                f"SERVER={server} is one process, and WEB_CONCURRENCY is {settings.WEB_CONCURRENCY}. Start it so many "
                "times, each with a PORT of its own, or set SERVER to uvicorn or granian."
            )
        # In this one's place: so it gets the signals that are meant for it, and its end is this process' end.
        os.execv(sys.executable, [sys.executable, "-m", server, *SERVERS[server](), APPLICATION])  # noqa: S606
