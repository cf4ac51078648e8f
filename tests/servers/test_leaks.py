"""Whoever comes and goes, in order or not, leaves nothing behind on any server: counted at both ends of each wire."""

import re

import pytest

from tests.clients import SUBPROTOCOL, session_cookies
from tests.conftest import User
from tests.servers.clients import Browser, reset
from tests.servers.conftest import Served, comes_to_rest, eventually
from tests.servers.holdings import holdings
from tests.servers.test_websocket import INIT, SUBSCRIPTION, subscribe
from tests.site.test_floods import RawSocket

pytestmark = pytest.mark.servers

EACH = 20
"""How often everything happens. What leaks is left as often."""


def come_and_go(served: Served, user: User) -> None:
    cookies = session_cookies(user)
    handshake = "\r\n".join(
        [
            "GET /graphql/ HTTP/1.1",
            f"Host: {served.url.removeprefix('http://')}",
            f"Origin: {served.url}",
            f"Cookie: sessionid={cookies['sessionid']}",
            *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
            f"Sec-WebSocket-Protocol: {SUBPROTOCOL}",
            *("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""),
        ]
    ).encode()
    with Browser(served, user) as browser:
        [file, *_] = re.findall(r'"(/static/[^"]+)"', browser.get("/").text)
        for number in range(EACH):
            assert "errors" not in browser.ask("{ me { email } unreadCount }")
            reset(browser.begin("{ me { email } unreadCount }"))  # which nobody waits for
            assert browser.get(file).status_code == 200

            for sent in (handshake[: number * 10], handshake, handshake + b"\x81\xfe\xff"):
                client = served.connect()
                client.sendall(sent)
                reset(client)

            for leave in (RawSocket.close, lambda raw: reset(raw._socket)):
                raw = RawSocket(served, cookies)
                raw.send([INIT, subscribe(SUBSCRIPTION), subscribe("{ unreadCount }", "2")])
                leave(raw)


def test_it_works(served: Served, alice: User) -> None:
    come_and_go(served, alice)
    eventually(lambda: not served.clients())
    before = holdings(served)

    come_and_go(served, alice)

    comes_to_rest(served, before)
