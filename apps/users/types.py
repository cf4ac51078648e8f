"""What every resolver is given, and what every argument has to be."""

import re
from collections.abc import Sequence
from typing import Any, Protocol

import strawberry
from django.http import HttpRequest
from strawberry import relay
from strawberry.schema_directive import Location

from apps.errors import BadUserInput
from apps.users.models import User

DEFAULT_PAGE = 20
MAX_PAGE = 100
MAX_PK = 2**63 - 1


class Context(Protocol):
    """`info.context`: who is asking. Each of the API's doors brings its own; see `config/graphql`."""

    @property
    def http_request(self) -> HttpRequest | None:
        """None over a WebSocket, which has no cookies to set and so cannot change a session."""

    @property
    def session_key(self) -> str | None:
        """Of the session by which the caller is signed in."""

    async def visitor_or_user(self) -> User | None:
        """The signed-in user, None for a visitor."""

    async def user(self) -> User:
        """The signed-in user. Raises `Unauthenticated` for a visitor."""


Info = strawberry.Info[Context, Any]


@strawberry.schema_directive(
    locations=[Location.ARGUMENT_DEFINITION, Location.INPUT_FIELD_DEFINITION],
    description="Text has at most `maxLength` characters, without NUL or half of a surrogate pair, else it is "
    "`BAD_USER_INPUT`. Where it is `trimmed`, white space at its ends is dropped first.",
)
class Text:
    """The one rule for text in arguments; each has it, `Text()` if its app says nothing else.

    What a person may type is for models and forms to say, which answer with something that can be mended. This is the
    end of what is read at all.
    """

    max_length: int = 10_000
    trimmed: bool = True

    def read(self, text: str) -> str:
        """The text as resolvers get it. Raises `BadUserInput`."""
        if self.trimmed:
            text = text.strip()
        if len(text) > self.max_length:
            raise BadUserInput(f"A text has more than {self.max_length:,} characters.")
        if "\0" in text or not _is_encodable(text):
            raise BadUserInput("A text holds characters that are no text.")
        return text


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def page_size(first: int | None) -> int:
    """The argument `first` of a connection. Raises `BadUserInput`."""
    if first is None:
        return DEFAULT_PAGE
    if not 1 <= first <= MAX_PAGE:
        raise BadUserInput(f"`first` must be from 1 to {MAX_PAGE}.")
    return first


def node_pk(node_id: str) -> int | None:
    """The primary key in a global id; None for what can't be one."""
    if not re.fullmatch("[1-9][0-9]{0,18}", node_id):
        return None
    pk = int(node_id)
    return pk if pk <= MAX_PK else None


def node_pks(ids: Sequence[relay.GlobalID], type_name: str, limit: int) -> list[int]:
    """The primary keys in the argument `ids`. Raises `BadUserInput` for more than `limit`, or ids of another type."""
    if len(ids) > limit:
        raise BadUserInput(f"At most {limit:,} ids at once.")
    pks = [node_pk(one.node_id) for one in ids if one.type_name == type_name]
    if len(pks) < len(ids):
        raise BadUserInput(f"An id is not one of a {type_name}.")
    return [pk for pk in pks if pk is not None]
