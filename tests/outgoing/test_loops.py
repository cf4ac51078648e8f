"""Many calls in one event loop, and calls from several."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from asgiref.sync import async_to_sync
from pytest_django import Settings

from apps import outgoing
from tests.outgoing.conftest import Names
from tests.outgoing.elsewhere import Elsewhere, Request, answer, hang


async def test_it_works(elsewhere: Elsewhere) -> None:
    url = elsewhere.on("/", answer(b"x"))
    responses = await asyncio.gather(*(outgoing.get(url) for _ in range(100)))
    assert [response.text for response in responses] == ["x"] * 100


async def test_so_many_at_once_and_no_more(elsewhere: Elsewhere, settings: Settings) -> None:
    settings.OUTGOING_AT_ONCE = 3
    under_way, most, go_on = 0, 0, asyncio.Event()

    async def wait(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await go_on.wait()
        under_way -= 1
        writer.write(answer())

    url = elsewhere.on("/", wait)
    calls = [asyncio.create_task(outgoing.get(url)) for _ in range(10)]
    await elsewhere.until(lambda: len(elsewhere.requests) == 3)
    go_on.set()
    await asyncio.gather(*calls)
    assert (most, len(elsewhere.requests)) == (3, 10)


async def test_who_waits_for_a_place_has_a_deadline(elsewhere: Elsewhere, settings: Settings) -> None:
    settings.OUTGOING_AT_ONCE = 1
    hanging = asyncio.create_task(outgoing.get(elsewhere.on("/", hang)))
    await elsewhere.until(lambda: len(elsewhere.requests) == 1)
    with pytest.raises(outgoing.TooSlow):
        await outgoing.get(elsewhere.on("/other", answer()), seconds=0.1)
    hanging.cancel()
    await asyncio.wait([hanging])
    await outgoing.get(elsewhere.on("/other", answer()))
    assert [request.path for request in elsewhere.requests] == ["/", "/other"]


async def test_calls_that_are_given_up_leave_nothing(elsewhere: Elsewhere, settings: Settings) -> None:
    """In the pool of HTTPX itself, those that were cancelled at a bad moment kept their place for ever."""
    settings.OUTGOING_AT_ONCE = 4
    url = elsewhere.on("/", answer(b"x"))
    for yields in range(40):
        calls = [asyncio.create_task(outgoing.get(url)) for _ in range(8)]
        for _ in range(yields):
            await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
    responses = await asyncio.gather(*(outgoing.get(url) for _ in range(8)))
    assert len(responses) == 8


@pytest.fixture
def slow_name(names: Names) -> Iterator[threading.Event]:
    """`slow.example`, which nobody answers for; the event tells when it was asked for."""
    asked, end = threading.Event(), threading.Event()

    def look_up() -> list[str]:
        asked.set()
        end.wait(60)
        return ["127.0.0.1"]

    names.answers["slow.example"] = [look_up]
    yield asked
    end.set()


async def test_a_slow_lookup_holds_up_nobody(elsewhere: Elsewhere, slow_name: threading.Event) -> None:
    slow = asyncio.create_task(outgoing.get("http://slow.example/", seconds=60))
    await asyncio.to_thread(slow_name.wait, 20)
    assert (await outgoing.get(elsewhere.on("/", answer(b"quick")))).text == "quick"
    assert not slow.done()
    slow.cancel()
    await asyncio.wait([slow])


async def test_a_slow_lookup_has_the_same_deadline(slow_name: threading.Event) -> None:
    with pytest.raises(outgoing.TooSlow):
        await outgoing.get("http://slow.example/", seconds=0.2)


async def test_two_loops(elsewhere: Elsewhere) -> None:
    url = elsewhere.on("/", answer(b"x"))
    await outgoing.get(url)

    def in_a_thread() -> str:
        return asyncio.run(outgoing.get(url)).text

    assert await asyncio.gather(*(asyncio.to_thread(in_a_thread) for _ in range(3))) == ["x"] * 3
    await elsewhere.until(lambda: elsewhere.open == 1)  # the others' went with their loops
    assert list(outgoing._clients) == [asyncio.get_running_loop()]
    await outgoing.get(url)
    assert elsewhere.connections == 4


async def test_from_sync_code(elsewhere: Elsewhere) -> None:
    """In a thread without a loop; nothing stays behind."""
    url = elsewhere.on("/", answer(b"x"))
    texts = []
    thread = threading.Thread(target=lambda: texts.append(async_to_sync(outgoing.get)(url).text))
    thread.start()
    await asyncio.to_thread(thread.join, 20)
    assert texts == ["x"]
    await elsewhere.until(lambda: elsewhere.open == 0)
    assert not outgoing._clients


def test_a_loop_takes_its_client_along() -> None:
    assert not outgoing._clients
