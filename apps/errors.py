"""The refusals that a client is meant to read, each with its stable code. Any other exception is an internal error.

A service raises one where a request is malformed, forbidden or over a limit. What the person who typed can mend is a
Django `ValidationError` instead, which a mutation answers as data.
"""

from typing import ClassVar


class Refusal(Exception):
    """Its code and text reach the client as a GraphQL error; see `config/graphql/errors.py`."""

    code: ClassVar[str]


class Unauthenticated(Refusal):
    code = "UNAUTHENTICATED"


class BadUserInput(Refusal):
    """An argument that is out of range, unreadable, or no id of the right type."""

    code = "BAD_USER_INPUT"


class RateLimited(Refusal):
    code = "RATE_LIMITED"
