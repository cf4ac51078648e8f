"""A request gives back each database connection that it took; one that it keeps is missing from the pool for ever."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from apps.users.models import User
from tests.conftest import ApiFor


@contextmanager
def connections_taken() -> Iterator[list[BaseDatabaseWrapper]]:
    """Those that are made in the meantime, in any thread."""
    taken: list[BaseDatabaseWrapper] = []

    def note(connection: BaseDatabaseWrapper, **_: Any) -> None:
        taken.append(connection)

    connection_created.connect(note)
    try:
        yield taken
    finally:
        connection_created.disconnect(note)


@pytest.mark.parametrize("path", ["/", "/notifications/", "/settings/", "/accounts/email/", "/no-such-page/"])
async def test_a_page(api: ApiFor, alice: User, path: str) -> None:
    client = await api(alice)
    with connections_taken() as taken:
        answer = await client.get(path)
    assert answer.status_code in {200, 404}
    assert taken
    assert [one for one in taken if one.connection is not None] == []


async def test_a_page_that_is_refused(api: ApiFor, alice: User) -> None:
    alice.set_unusable_password()
    await alice.asave()
    client = await api(alice)
    with connections_taken() as taken:
        answer = await client.get("/accounts/reauthenticate/")
    assert answer.status_code == 403
    assert "This page is not for you." in answer.text
    assert [one for one in taken if one.connection is not None] == []


async def test_the_api(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    await client.csrf_headers()
    with connections_taken() as taken:
        assert (await client.data("{ me { email } unreadCount }"))["me"]
    assert taken
    assert [one for one in taken if one.connection is not None] == []
