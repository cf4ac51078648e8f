"""What a serving process holds, as it says itself: for the tests alone, by `counting_settings`."""

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable

from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils.decorators import async_only_middleware

from apps.loop_connections import loop_connections

PATH = "/holds/"

type GetResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


@async_only_middleware
def tells_what_it_holds(get_response: GetResponse) -> GetResponse:
    async def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path != PATH:
            return await get_response(request)
        gc.collect()  # what nobody refers to is no leak
        pool = connection.pool.get_stats() if connection.vendor == "postgresql" else {}  # type: ignore[attr-defined]
        of_loop = loop_connections("default")
        return JsonResponse(
            {
                "tasks": [task.get_coro().__qualname__ for task in asyncio.all_tasks()],  # type: ignore[union-attr]
                "threads": [thread.name for thread in threading.enumerate()],
                "pooled": pool.get("pool_size", 0) + (len(of_loop.idle) if of_loop else 0),
                "lent": pool.get("pool_size", 0) - pool.get("pool_available", 0),
                "channels": len(get_channel_layer()._get_layer().channels) if settings.REDIS_URL else 0,
            }
        )

    return middleware
