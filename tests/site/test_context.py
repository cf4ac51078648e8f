"""Who asks is read once an operation, however many fields want to know."""

from typing import Any

import pytest
from django.db.backends.utils import CursorWrapper

from apps.users.models import User
from tests.conftest import ApiFor


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Those of all threads."""
    seen: list[str] = []
    execute = CursorWrapper.execute

    def note(cursor: CursorWrapper, sql: str, params: Any = None) -> Any:
        seen.append(str(sql))
        return execute(cursor, sql, params)

    monkeypatch.setattr(CursorWrapper, "execute", note)
    return seen


async def test_it_works(api: ApiFor, alice: User, statements: list[str]) -> None:
    client = await api(alice)
    await client.ask("{ __typename }")  # and the token against CSRF is there
    statements.clear()
    assert await client.data("{ unreadCount }") == {"unreadCount": 0}
    once = [sql for sql in statements if 'FROM "users_user"' in sql or 'FROM "accounts_session"' in sql]
    statements.clear()
    fields = " ".join(f"a{number}: unreadCount" for number in range(10))
    assert len(await client.data(f"{{ {fields} }}")) == 10
    assert [sql for sql in statements if 'FROM "users_user"' in sql or 'FROM "accounts_session"' in sql] == once


async def test_who_signs_in_is_known_to_the_next_field(api: ApiFor, alice: User) -> None:
    client = await api()
    log_in = 'logIn(input: { email: "alice@example.com", password: "correct horse battery" }) { __typename }'
    mark = "markAllNotificationsRead(upTo: 0) { __typename }"
    data = await client.data(f"mutation {{ {log_in} {mark} }}")
    assert data["markAllNotificationsRead"] == {"__typename": "InboxUpdate"}
