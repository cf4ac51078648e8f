"""HTTP to elsewhere, from any app: `response = await outgoing.get("https://api.example.com/rates")`.

For addresses that you chose and for those that came from outside. Whatever answers there, a call ends by its deadline,
takes no more memory than its bound, reaches nothing that is not public (`apps/public_network.py`) and waits without
holding up anybody: so many at once, and no more. It either returns what was asked for, or raises a `CallFailed`.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypedDict, Unpack

import httpcore2
import httpx2
from django.conf import settings
from django.utils.http import parse_http_date_safe
from django.utils.timezone import now
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from apps.public_network import NotPublic, PublicNetwork

MAX_BYTES = 5 * 1024 * 1024
"""Of a body, after decompression."""
MAX_ERROR_BYTES = 64 * 1024
"""Of the body of an answer that is none."""
MAX_REDIRECTS = 5
TRIES = 3
IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}
"""What may arrive twice."""
PASSING = {429, 502, 503, 504}
"""What a server says that may answer the next time."""

_backoff = wait_random_exponential(multiplier=0.25, max=2)


class CallFailed(Exception):
    """There is no answer to use. Its text says why, for the log: it may name what is inside, but holds no password."""


class Refused(CallFailed):
    """Not sent, or not followed: an address that is not public, a port, a scheme or a password in it, or no address."""


class Unreachable(CallFailed):
    """No connection, one that broke, a certificate that does not fit, or something that is not HTTP."""


class TooSlow(CallFailed):
    """The deadline came first."""


class TooLarge(CallFailed):
    """The body has more than `max_bytes`."""


class BadStatus(CallFailed):
    """It answers, and not with a success."""

    def __init__(self, response: httpx2.Response, body: bytes) -> None:
        super().__init__(f"{response.request.url.host} answers {response.status_code}")
        self.status = response.status_code
        self.headers = response.headers
        self.body = body
        """Its beginning, at most `MAX_ERROR_BYTES`."""

    @property
    def retry_after(self) -> float:
        """Seconds that the server asks for, 0 if it does not."""
        value = self.headers.get("Retry-After", "")
        if value.isdecimal():
            return float(value)
        date = parse_http_date_safe(value)
        return max(0.0, date - now().timestamp()) if date else 0.0


class Content(TypedDict, total=False):
    """What is sent. `json`, `data` (a form) and `content` exclude each other."""

    params: Mapping[str, str | int]
    headers: Mapping[str, str]
    json: Any
    data: Mapping[str, str]
    content: bytes


class Options(Content, total=False):
    """`seconds`: for all of the call, instead of `OUTGOING_SECONDS`. `max_bytes`: of the body, decompressed."""

    seconds: float
    max_bytes: int


class Download:
    """A body that is on its way: `async for chunk in download`, once. Raises `TooLarge` where it gets too long."""

    def __init__(self, response: httpx2.Response, max_bytes: int) -> None:
        self.response = response
        self._max_bytes = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async with aclosing(self.response.aiter_bytes()) as chunks:  # HTTPX2 unpacks a MiB at a time
            async for chunk in chunks:
                size += len(chunk)
                if size > self._max_bytes:
                    raise TooLarge(f"{self.response.request.url.host} sends more than {self._max_bytes} bytes")
                yield chunk

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self])


async def get(url: str, **options: Unpack[Options]) -> httpx2.Response:
    """Follows up to `MAX_REDIRECTS` redirects, each of them checked. Tries again what may pass."""
    return await request("GET", url, **options)


async def post(url: str, **options: Unpack[Options]) -> httpx2.Response:
    """Sent once: who does not know whether it arrived must not send it again. Follows no redirect."""
    return await request("POST", url, **options)


async def request(method: str, url: str, **options: Unpack[Options]) -> httpx2.Response:
    """The answer, all of it, with a status from 200 to 299. Raises `CallFailed` otherwise.

    Keys belong into the header `Authorization`: it is the one that a redirect elsewhere does not take along.
    """
    async with stream(method, url, **options) as download:
        answer, body = download.response, await download.read()
    unpacked = [
        (name, value)
        for name, value in answer.headers.multi_items()
        if name not in {"content-encoding", "content-length", "transfer-encoding"}
    ]
    return httpx2.Response(answer.status_code, headers=unpacked, content=body, request=answer.request)


@asynccontextmanager
async def stream(
    method: str, url: str, *, seconds: float | None = None, max_bytes: int = MAX_BYTES, **content: Unpack[Content]
) -> AsyncIterator[Download]:
    """As `request`, with the body to be read piece by piece; the deadline is for your reading too."""
    seconds = settings.OUTGOING_SECONDS if seconds is None else seconds
    try:
        async with asyncio.timeout(seconds) as deadline, _answer(method, url, seconds, content) as response:
            yield Download(response, max_bytes)
    except TimeoutError as error:
        if deadline.expired():
            raise TooSlow(f"No answer within {seconds} seconds") from error
        raise
    except (NotPublic, httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.TooManyRedirects) as error:
        raise Refused(str(error)) from error
    except httpx2.HTTPError as error:
        raise Unreachable(f"{type(error).__name__}: {error}") from error


@asynccontextmanager
async def _answer(method: str, url: str, seconds: float, content: Content) -> AsyncIterator[httpx2.Response]:
    """The first success. Between two tries the call gives up its place."""
    tries = AsyncRetrying(
        retry=retry_if_exception(_may_pass),
        wait=_pause,
        stop=stop_after_attempt(TRIES if method in IDEMPOTENT else 1) | stop_before_delay(seconds),
        reraise=True,
    )
    async for attempt in tries:
        with attempt:
            async with AsyncExitStack() as stack:
                response = await stack.enter_async_context(_one_try(method, url, content))
                held = stack.pop_all()
    async with held:
        yield response


@asynccontextmanager
async def _one_try(method: str, url: str, content: Content) -> AsyncIterator[httpx2.Response]:
    client = await _client_here()
    is_harmless = method in {"GET", "HEAD"}
    async with client.places, client.http.stream(method, url, follow_redirects=is_harmless, **content) as response:
        if not response.is_success:
            body = b""
            async with aclosing(response.aiter_bytes()) as chunks:
                async for chunk in chunks:
                    body += chunk[: MAX_ERROR_BYTES - len(body)]
                    if len(body) == MAX_ERROR_BYTES:
                        break
            raise BadStatus(response, body)
        yield response


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, BadStatus):
        return error.status in PASSING
    return isinstance(error, httpx2.NetworkError | httpx2.ConnectTimeout | httpx2.RemoteProtocolError)


def _pause(state: RetryCallState) -> float:
    """Longer each time, and by chance, so that not all come back at once. As long as the server says, if it does."""
    error = state.outcome.exception() if state.outcome else None
    return max(_backoff(state), error.retry_after if isinstance(error, BadStatus) else 0)


@dataclass
class Client:
    """An event loop's own: what waits in one loop can't be woken from another."""

    http: httpx2.AsyncClient
    places: asyncio.Semaphore


_clients: dict[asyncio.AbstractEventLoop, tuple[Client, AsyncGenerator[Client]]] = {}


async def _client_here() -> Client:
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        tls = await asyncio.to_thread(_tls)
        if loop not in _clients:
            kept = _keep(loop, tls)
            _clients[loop] = await anext(kept), kept  # which waits for nothing: nobody comes between
    return _clients[loop][0]


async def _keep(loop: asyncio.AbstractEventLoop, tls: ssl.SSLContext) -> AsyncGenerator[Client]:
    """A generator, because whoever ends a loop ends its generators first (`loop.shutdown_asyncgens`): so the client is
    closed where it lived, whatever that was: a server, a test, `async_to_sync` in a thread, a command.
    """
    client = httpx2.AsyncClient(
        transport=Transport(tls),
        timeout=httpx2.Timeout(None, connect=settings.OUTGOING_CONNECT_SECONDS),  # the deadline is for all the rest
        max_redirects=MAX_REDIRECTS,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # none: calls know nothing of each other
        headers={"User-Agent": f"{settings.SITE.hostname} (+{settings.SITE_URL})"},
        trust_env=False,  # a proxy or a .netrc would know better than the checks
    )
    try:
        yield Client(client, asyncio.Semaphore(settings.OUTGOING_AT_ONCE))
    finally:
        del _clients[loop]
        await client.aclose()


@cache
def _tls() -> ssl.SSLContext:
    """It reads the system's certificates from the disk. (HTTPX2's own would do so for each connection.)"""
    return ssl.create_default_context()


class Transport(httpx2.AsyncHTTPTransport):
    """All that leaves passes here, redirects too. HTTPX2's own, on another network.

    It has no public place for that. Should the private one move, this fails, and nothing leaves unchecked.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=None,  # places are what is bounded
            max_keepalive_connections=settings.OUTGOING_AT_ONCE,
            keepalive_expiry=5,
            network_backend=PublicNetwork(),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.scheme not in {"http", "https"}:
            raise NotPublic(f"{request.url.scheme!r} is not HTTP")
        if request.url.userinfo:
            raise NotPublic("The address has a user in it")
        if request.url.port and request.url.port > 65_535:
            raise NotPublic(f"{request.url.port} is no port")
        return await super().handle_async_request(request)
