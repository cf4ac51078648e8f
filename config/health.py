import logging
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from channels.db import database_sync_to_async
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import sync_and_async_middleware

from config.loop_guard import figures
from config.shutdown import shutdown

logger = logging.getLogger(__name__)


@sync_and_async_middleware
def health_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Answers `/health/live/` and `/health/ready/` before the host, the scheme or a session can be in the way.

    Live needs nothing. Ready asks the database; without the cache (Redis) the site works on, `degraded`. A process that
    is about to end is not ready any more.
    """
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponse:
            if request.path == "/health/live/":
                return live()
            if request.path == "/health/ready/":
                return await database_sync_to_async(ready)()
            return await get_response(request)

        return answer_async

    def answer(request: HttpRequest) -> HttpResponse:
        if request.path == "/health/live/":
            return live()
        if request.path == "/health/ready/":
            return ready()
        return get_response(request)

    return answer


def live() -> HttpResponse:
    return JsonResponse({"status": "ok"})


def ready() -> HttpResponse:
    checks = {"database": _works(_ask_database), "cache": _works(_ask_cache)}
    answer = checks | ({"event_loop": event_loop} if (event_loop := figures()) else {})
    if shutdown.begun:
        return JsonResponse({"status": "stopping", **answer}, status=503)
    if not checks["database"]:
        return JsonResponse({"status": "unavailable", **answer}, status=503)
    return JsonResponse({"status": "ok" if checks["cache"] else "degraded", **answer})


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _ask_cache() -> None:
    cache.get("health")


def _works(ask: Callable[[], None]) -> bool:
    try:
        ask()
    except Exception as error:
        logger.warning("Not healthy: %r", error)
        return False
    return True
