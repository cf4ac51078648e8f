import asyncio
import gzip
import tracemalloc
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async

from apps import outgoing
from tests.outgoing.elsewhere import Elsewhere, Request, answer, endless, hang

MEGABYTE = 1 << 20


async def test_it_works(elsewhere: Elsewhere, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000
    url = elsewhere.on("/big", answer(content))
    with (tmp_path / "big").open("wb") as file:
        async with outgoing.stream("GET", url, max_bytes=10 * MEGABYTE) as download:
            assert download.response.status_code == 200
            async for chunk in download:
                await sync_to_async(file.write)(chunk)
    assert (tmp_path / "big").read_bytes() == content


async def test_a_body_without_an_end(elsewhere: Elsewhere) -> None:
    with pytest.raises(outgoing.TooLarge):
        await outgoing.get(elsewhere.on("/", endless), max_bytes=MEGABYTE)
    await elsewhere.until(lambda: elsewhere.open == 0)


async def test_a_body_of_just_the_size(elsewhere: Elsewhere) -> None:
    url = elsewhere.on("/", answer(b"x" * 1_000))
    assert len((await outgoing.get(url, max_bytes=1_000)).content) == 1_000
    with pytest.raises(outgoing.TooLarge):
        await outgoing.get(url, max_bytes=999)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_bomb(elsewhere: Elsewhere, times: int) -> None:
    """200 MB in 200 KB, or in 1 KB."""
    bomb = bytes(200 * MEGABYTE)
    for _ in range(times):
        bomb = gzip.compress(bomb)
    assert len(bomb) < MEGABYTE
    url = elsewhere.on("/", answer(bomb, Content_Encoding=", ".join(["gzip"] * times)))
    tracemalloc.start()
    with pytest.raises(outgoing.TooLarge):
        await outgoing.get(url, max_bytes=MEGABYTE, seconds=60)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * MEGABYTE


async def test_a_body_that_drips(elsewhere: Elsewhere) -> None:
    async def drip(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    with pytest.raises(outgoing.TooSlow):
        await outgoing.get(elsewhere.on("/", drip), seconds=0.3)
    await elsewhere.until(lambda: elsewhere.open == 0)


async def test_a_slow_reader_has_the_same_deadline(elsewhere: Elsewhere) -> None:
    url = elsewhere.on("/", answer(b"x"))
    with pytest.raises(outgoing.TooSlow):
        async with outgoing.stream("GET", url, seconds=0.2):
            await asyncio.Event().wait()


async def test_a_time_out_of_one_s_own_stays_one(elsewhere: Elsewhere) -> None:
    url = elsewhere.on("/", answer(b"x"))
    with pytest.raises(TimeoutError):
        async with outgoing.stream("GET", url), asyncio.timeout(0.01):
            await asyncio.Event().wait()


async def test_who_leaves_early_takes_no_place_along(elsewhere: Elsewhere) -> None:
    url = elsewhere.on("/", endless)
    for _ in range(30):
        async with outgoing.stream("GET", url) as download:
            async for _chunk in download:
                break
    await elsewhere.until(lambda: elsewhere.open == 0)
    client = await outgoing._client_here()
    assert client.places._value == 20


async def test_one_that_hangs_is_ended_with_its_caller(elsewhere: Elsewhere) -> None:
    call = asyncio.create_task(outgoing.get(elsewhere.on("/", hang)))
    await elsewhere.until(lambda: len(elsewhere.requests) == 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await elsewhere.until(lambda: elsewhere.open == 0)
