"""What is too large is refused while it comes in, and costs next to no memory."""

import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from django.conf import settings
from django.test import AsyncClient, Client

from tests.clients import Answer
from tests.conftest import ApiFor, User
from tests.processes import Server

MEGABYTE = 1024 * 1024
SIZE = 300 * MEGABYTE


async def test_it_works(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    body = json.dumps({"query": "{ me { email } }", "variables": {"x": "x" * settings.MAX_BODY_BYTES}})
    headers = {"Content-Type": "application/json", **await client.csrf_headers()}
    answer = await client.post("/graphql/", content=body, headers=headers)
    assert answer.status_code == 413
    assert Answer(answer).codes == ["BAD_USER_INPUT"]


async def test_a_client_can_begin_there(api: ApiFor) -> None:
    client = await api()
    answer = await client.post("/graphql/", content=b"x" * (settings.MAX_BODY_BYTES + 1))
    assert answer.status_code == 413
    assert settings.CSRF_COOKIE_NAME in client.cookies


async def test_what_says_no_length(api: ApiFor) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(settings.MAX_BODY_BYTES // MEGABYTE + 1):
            yield b"x" * MEGABYTE

    assert (await (await api()).post("/graphql/", content=chunks())).status_code == 413


async def test_as_much_as_is_allowed(api: ApiFor) -> None:
    answer = await (await api()).post("/graphql/", content=b"x" * settings.MAX_BODY_BYTES)
    assert answer.status_code == 403  # no token against CSRF: so it was let in as far as that


async def test_a_page(api: ApiFor) -> None:
    answer = await (await api()).post("/accounts/login/", content=b"x" * (settings.MAX_BODY_BYTES + 1))
    assert answer.status_code == 413
    assert answer.headers["content-type"].startswith("text/plain")


async def test_django_s_own_client(async_client: AsyncClient, transactional_db: None) -> None:
    """Which asks Django itself, and so without what is around it: an app's tests may well use it."""
    assert (await async_client.get("/accounts/login/")).status_code == 200


def test_a_server_for_wsgi(client: Client) -> None:
    answer = client.post("/graphql/", b"x" * (settings.MAX_BODY_BYTES + 1), content_type="application/json")
    assert answer.status_code == 413


def peak(server: Server) -> int:
    """The most memory that the process has had so far, in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("how", ["with its length", "in chunks"])
def test_daphne_does_not_keep_it(start_server: Callable[..., Server], how: str) -> None:
    server = start_server()
    before = peak(server)
    piece = b"x" * MEGABYTE
    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), timeout=30) as client:
        lines = ["POST /graphql/ HTTP/1.1", f"Host: {urlsplit(server.url).netloc}", "Connection: close"]
        lines.append(f"Content-Length: {SIZE}" if how == "with its length" else "Transfer-Encoding: chunked")
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        for _ in range(SIZE // MEGABYTE):
            client.sendall(piece if how == "with its length" else b"%x\r\n%s\r\n" % (len(piece), piece))
        if how == "in chunks":
            client.sendall(b"0\r\n\r\n")
        assert client.makefile("rb").readline().startswith(b"HTTP/1.1 413")
    assert peak(server) - before < 40 * MEGABYTE
    assert httpx.get(f"{server.url}/health/live/").status_code == 200
