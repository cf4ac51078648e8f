import pytest

from config import health
from tests.conftest import ApiFor

HOSTILE = {"Host": "somewhere.example"}


async def test_it_works(api: ApiFor) -> None:
    client = await api()
    live = await client.get("/health/live/", headers=HOSTILE)
    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    ready = await client.get("/health/ready/", headers=HOSTILE)
    figures = ready.json().pop("event_loop")
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ok", "database": True, "cache": True, "event_loop": figures},
    )
    assert figures.keys() == {"stalls", "longest_ms"}


async def test_without_a_database_it_is_not_ready(api: ApiFor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_ask_database", broken)
    client = await api()
    ready = await client.get("/health/ready/")
    assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
    assert (await client.get("/health/live/")).status_code == 200


async def test_without_a_cache_it_is_degraded(api: ApiFor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_ask_cache", broken)
    ready = await (await api()).get("/health/ready/")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")


def broken(*_: object) -> None:
    raise ConnectionError


async def test_other_pages_mind_the_host(api: ApiFor) -> None:
    assert (await (await api()).get("/", headers=HOSTILE)).status_code == 400
