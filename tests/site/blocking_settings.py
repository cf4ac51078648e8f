"""The site's settings, and two addresses that hold up its event loop: the loop guard's tests go there."""

import time
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.urls import path

from config.settings import *  # noqa: F403

ROOT_URLCONF = __name__


async def read(request: HttpRequest) -> HttpResponse:
    return HttpResponse(Path(__file__).read_text())


async def think(request: HttpRequest) -> HttpResponse:
    end = time.thread_time() + 0.3
    while time.thread_time() < end:
        pass
    return HttpResponse()


urlpatterns = [path("read/", read), path("think/", think)]
