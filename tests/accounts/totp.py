"""What an authenticator app computes (RFC 6238)."""

import base64
import hashlib
import hmac
import struct
import time

PERIOD = 30
ENOUGH = 3
"""Seconds in which a test has its code taken. The site takes a code in its own period only."""


def code(secret: str, at: float | None = None) -> str:
    """By itself the one of now, which holds for a while: near the end of a period this waits for the next one."""
    while at is None and time.time() % PERIOD > PERIOD - ENOUGH:
        time.sleep(0.05)
    counter = int((time.time() if at is None else at) // PERIOD)
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", counter), hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def other_code(secret: str) -> str:
    """One that is wrong now, and in the periods around."""
    right = {code(secret, time.time() + PERIOD * step) for step in (-1, 0, 1)}
    return next(wrong for wrong in ("000000", "111111", "222222", "333333") if wrong not in right)
