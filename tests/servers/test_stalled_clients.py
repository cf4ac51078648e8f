"""A client that stops reading is let go, on every server, though what is left to send never arrives."""

from collections.abc import Callable
from contextlib import closing

import pytest

from config.graphql.limits import MAX_REPEATS
from config.management.commands.serve import SERVERS
from tests.clients import session_cookies
from tests.conftest import User
from tests.servers.clients import Browser
from tests.servers.conftest import REST_SECONDS, Served, comes_to_rest, eventually
from tests.servers.holdings import Holdings, holdings
from tests.servers.test_websocket import INIT, fill, subscribe
from tests.site.test_floods import RawSocket

pytestmark = pytest.mark.servers

PAGE = "notifications(first: 100) { edges { node { body } } }"
PAGES = dict.fromkeys(SERVERS, MAX_REPEATS) | {"daphne": 4}
"""In one message: four megabytes, more than the kernel keeps. Daphne sends none of over one."""
BUFFER = 4 * 1024


def pages(count: int) -> str:
    return f"{{ {' '.join(f'page{number}: {PAGE}' for number in range(count))} }}"


@pytest.mark.parametrize("name", SERVERS)
def test_it_works(start: Callable[..., Served], name: str, alice: User) -> None:
    """A WebSocket, and an answer."""
    fill(alice)
    served = start(name)
    before = holdings(served)
    with closing(RawSocket(served, session_cookies(alice), buffer=BUFFER)) as client:
        client.send([INIT, subscribe(pages(PAGES[name]))])
        is_let_go(served, before)
    with Browser(served, alice) as browser, browser.begin(pages(MAX_REPEATS), buffer=BUFFER):
        browser.close()
        is_let_go(served, before)


def is_let_go(served: Served, before: Holdings) -> None:
    eventually(lambda: holdings(served).since(before).get("files"))
    eventually(lambda: not served.clients(), REST_SECONDS)
    comes_to_rest(served, before)
