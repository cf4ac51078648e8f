"""Whoever comes and goes, in order or not, leaves nothing behind on any server: counted at both ends of each wire."""

import os
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from redis import Redis

from tests.clients import SUBPROTOCOL, session_cookies
from tests.conftest import User
from tests.servers.clients import Browser, reset
from tests.servers.conftest import Served, eventually
from tests.servers.test_websocket import INIT, SUBSCRIPTION, subscribe
from tests.site.test_floods import RawSocket

pytestmark = pytest.mark.servers

EACH = 20
"""How often everything happens. What leaks is left as often."""
POOL = 10
"""Connections that a process may keep to the database."""


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


def sockets(pid: int) -> set[str]:
    links = (os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir() if file.is_symlink())
    return {link[8:-1] for link in links if link.startswith("socket:[")}


def ports(served: Served) -> list[int]:
    """Of this machine, from which the processes speak to others."""
    own = set().union(*map(sockets, served.pids()))
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(line[1][-4:], 16) for line in lines if line[9] in own]


def counted(served: Served, what: str) -> int:
    """Threads (`task`), or open files (`fd`)."""
    return sum(len(list(Path(f"/proc/{pid}/{what}").iterdir())) for pid in served.pids())


def subscriptions(served: Served) -> int:
    """What Redis would send to it."""
    if not settings.REDIS_URL:
        return 0
    with Redis.from_url(settings.REDIS_URL) as redis:
        clients = [one for one in redis.client_list() if int(one["addr"].rpartition(":")[2]) in ports(served)]
    return sum(int(one["sub"]) + int(one["psub"]) for one in clients)


def statements(served: Served) -> list[str]:
    """What PostgreSQL has in hand for it."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT state FROM pg_stat_activity WHERE client_port = ANY(%s)", [ports(served)])
        states = [state for (state,) in cursor.fetchall()]
    assert 0 < len(states) <= POOL
    return [state for state in states if state != "idle"]


def test_it_works(served: Served, alice: User) -> None:
    before = subscriptions(served)
    come_and_go(served, alice)
    eventually(lambda: not served.clients())
    threads, files = counted(served, "task"), counted(served, "fd")

    come_and_go(served, alice)

    eventually(lambda: not served.clients())
    eventually(lambda: subscriptions(served) == before)
    eventually(lambda: not statements(served))
    # Pools of threads and connections may have grown a little; what leaks has `EACH` more.
    eventually(lambda: counted(served, "task") < threads + EACH // 2)
    eventually(lambda: counted(served, "fd") < files + EACH // 2)
