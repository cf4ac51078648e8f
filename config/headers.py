"""Headers that Django can't read, and would answer 500 to, are as if they had not come."""

from collections.abc import Iterable
from functools import lru_cache

from django.http import parse_cookie
from django.utils.http import parse_header_parameters

type Header = tuple[bytes, bytes]

MAX_LENGTH = 4_000
"""Of a media type."""
CHARSETS = {"utf-8", "utf8", "us-ascii", "iso-8859-1"}
"""In which forms may come. Python knows more by name, and some of those are no text at all."""


def readable(headers: Iterable[Header]) -> list[Header]:
    result = []
    for name, value in headers:
        if name == b"cookie":
            result.append((name, _without_nul(value)))
        elif name not in {b"content-type", b"accept"} or _is_media_type(value):
            result.append((name, value))
    return result


def _without_nul(cookies: bytes) -> bytes:
    """No database keeps a NUL, and so no session has one. In a cookie it can be written as an escape."""
    if b"\\" not in cookies and b"\0" not in cookies:
        return cookies
    return b";".join(pair for pair in cookies.split(b";") if not _holds_nul(pair))


def _holds_nul(pair: bytes) -> bool:
    return any("\0" in value for value in parse_cookie(pair.decode("latin-1")).values())


@lru_cache(maxsize=1_000)
def _is_media_type(value: bytes) -> bool:
    """Also of several, with commas between them."""
    try:
        parameters = [parse_header_parameters(part)[1] for part in value.decode("latin-1").split(",")]
    except ValueError:
        return False
    charsets = {one.get("charset", "utf-8").lower() for one in parameters}
    return len(value) <= MAX_LENGTH and charsets <= CHARSETS
