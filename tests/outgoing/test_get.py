import asyncio
import gzip
import json

import pytest

from apps import outgoing
from tests.outgoing.elsewhere import Elsewhere, answer, cut, hang, redirect


async def test_it_works(elsewhere: Elsewhere) -> None:
    url = elsewhere.on("/rates", answer(b'{"EUR": 1}', Content_Type="application/json"))
    response = await outgoing.get(url, params={"day": "today"})
    assert response.json() == {"EUR": 1}
    assert response.status_code == 200
    assert elsewhere.requests[0].path == "/rates?day=today"


async def test_it_says_who_calls(elsewhere: Elsewhere) -> None:
    await outgoing.get(elsewhere.on("/", answer()), headers={"X-Own": "1"})
    headers = elsewhere.requests[0].headers
    assert headers["user-agent"] == "testserver (+http://testserver)"
    assert headers["x-own"] == "1"


async def test_what_is_compressed_is_unpacked(elsewhere: Elsewhere) -> None:
    packed = gzip.compress(json.dumps({"a": 1}).encode())
    response = await outgoing.get(elsewhere.on("/", answer(packed, Content_Encoding="gzip")))
    assert response.json() == {"a": 1}


async def test_it_follows_redirects(elsewhere: Elsewhere) -> None:
    elsewhere.on("/there", answer(b"there"))
    response = await outgoing.get(elsewhere.on("/here", redirect("/there")))
    assert response.text == "there"
    assert str(response.url) == f"{elsewhere.url}/there"


async def test_it_does_not_follow_them_for_ever(elsewhere: Elsewhere) -> None:
    with pytest.raises(outgoing.Refused):
        await outgoing.get(elsewhere.on("/round", redirect("/round")))
    assert len(elsewhere.requests) == 1 + outgoing.MAX_REDIRECTS


@pytest.mark.parametrize("status", [304, 400, 404, 500])
async def test_another_status_is_an_error(elsewhere: Elsewhere, status: int) -> None:
    url = elsewhere.on("/", answer(b"" if status == 304 else b"why", status, Reason="x"))
    with pytest.raises(outgoing.BadStatus, match=str(status)) as raised:
        await outgoing.get(url)
    assert raised.value.status == status
    assert raised.value.headers["reason"] == "x"
    assert raised.value.body == (b"" if status == 304 else b"why")
    assert len(elsewhere.requests) == 1


async def test_an_error_s_body_is_bounded(elsewhere: Elsewhere) -> None:
    with pytest.raises(outgoing.BadStatus) as raised:
        await outgoing.get(elsewhere.on("/", answer(b"x" * 1_000_000, 400)))
    assert len(raised.value.body) == outgoing.MAX_ERROR_BYTES


async def test_calls_share_a_connection_and_no_cookies(elsewhere: Elsewhere) -> None:
    url = elsewhere.on("/", answer(Set_Cookie="who=alice; Path=/"))
    for _ in range(3):
        await outgoing.get(url)
    assert elsewhere.connections == 1
    assert not [request for request in elsewhere.requests if "cookie" in request.headers]


async def test_the_environment_names_no_proxy(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await outgoing.get(elsewhere.on("/", answer(b"direct")))).text == "direct"


async def test_a_key_is_for_whom_it_was_meant(elsewhere: Elsewhere, untrusted: type[Elsewhere]) -> None:
    other = await untrusted()  # type: ignore[misc]  # at the trusted address, but another port: another origin
    target = other.on("/", answer(b"there"))
    await outgoing.get(elsewhere.on("/", redirect(target)), headers={"Authorization": "Bearer secret"})
    assert elsewhere.requests[0].headers["authorization"] == "Bearer secret"
    assert "authorization" not in other.requests[0].headers


async def test_a_server_that_says_nothing(elsewhere: Elsewhere) -> None:
    with pytest.raises(outgoing.TooSlow):
        await outgoing.get(elsewhere.on("/", hang), seconds=0.2)
    await elsewhere.until(lambda: elsewhere.open == 0)


async def test_nobody_listens(elsewhere: Elsewhere) -> None:
    async with Elsewhere() as gone:
        url = gone.on("/", answer())
    with pytest.raises(outgoing.Unreachable):
        await outgoing.get(url)


@pytest.mark.parametrize("words", [b"not HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nless"])
async def test_what_is_not_http(elsewhere: Elsewhere, words: bytes) -> None:
    async def say(request: object, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        writer.close()

    with pytest.raises(outgoing.Unreachable):
        await outgoing.get(elsewhere.on("/", say))


async def test_a_head_without_an_end(elsewhere: Elsewhere) -> None:
    async def say(request: object, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not writer.is_closing():
            writer.write(b"X: " + b"y" * 10_000 + b"\r\n")
            await writer.drain()

    with pytest.raises(outgoing.Unreachable):
        await outgoing.get(elsewhere.on("/", say))


async def test_all_failures_are_of_one_family(elsewhere: Elsewhere) -> None:
    for url in (elsewhere.on("/cut", cut), elsewhere.on("/404", answer(status=404)), "nothing", "http://10.0.0.1/"):
        with pytest.raises(outgoing.CallFailed):
            await outgoing.get(url)
