"""JSON, as both doors send it."""

import json
from typing import Any

from msgspec.json import Encoder

_encode = Encoder().encode


def write_json(value: Any) -> bytes:
    """In UTF-8. Half of a surrogate pair, which UTF-8 can't hold, is escaped."""
    try:
        return _encode(value)
    except (TypeError, UnicodeEncodeError):  # it is strict about classes too: it refuses Django's `SafeString`
        return json.dumps(value, separators=(",", ":")).encode()
