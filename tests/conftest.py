"""Alice owns what is asked for, Bob is somebody else, a visitor is nobody; all come in by the real ASGI application."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import SyncToAsync, sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.core.management.commands import flush
from django.db import connection, connections
from pytest_django import DjangoDbBlocker, Settings

from apps.accounts.services import create_verified_addresses
from apps.loop_connections import close_abandoned
from apps.profiles.services import update_profile
from apps.users.models import User
from config import closing
from tests.clients import Api, Socket, session_cookies

pytest_plugins = ["tests.alone", "tests.guard", "tests.processes"]

type ApiFor = Callable[..., Awaitable[Api]]
type SocketFor = Callable[..., Awaitable[Socket]]

PASSWORD = "correct horse battery"
PATIENCE_SECONDS = 20


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """pytest-django's `db` rolls back one thread's connection; async code works in others, and its rows would stay."""
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        if item.get_closest_marker("asyncio") and "db" in names and "transactional_db" not in names:
            raise pytest.UsageError(
                f"{item.nodeid}: an async test needs `transactional_db`, or a user, instead of `db`"
            )


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Nobody needs this database after a power cut: no commit waits for PostgreSQL's disk."""
    if connection.vendor == "postgresql":
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]


@pytest.fixture(scope="session", autouse=True)
def _quick_flush() -> Iterator[None]:
    """After each test its few rows are deleted. Django truncates all tables, which takes PostgreSQL 0.2 s, and then
    makes permissions and content types anew; those stay here.
    """
    kept = {"django_content_type", "auth_permission"}

    def delete(_style: object, tables: Iterable[str], **_options: object) -> list[str]:
        return [f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables if table not in kept]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection.ops, "sql_flush", delete)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *_, **__: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _patience() -> Iterator[None]:
    """What has to come over a WebSocket is waited for: asgiref's second is too short where much else goes on."""
    receive = ApplicationCommunicator.receive_output

    async def receive_output(communicator: ApplicationCommunicator, timeout: float = 1) -> Any:
        return await receive(communicator, max(timeout, PATIENCE_SECONDS))  # type: ignore[no-untyped-call]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ApplicationCommunicator, "receive_output", receive_output)
        yield


@pytest.fixture(scope="session", autouse=True)
def _unanswered_closes() -> Iterator[None]:
    """Tests' clients do not answer a close, as real ones do at once, and the application would wait a second for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closing, "ANSWER_SECONDS", 0.02)
        yield


@pytest.fixture
def transactional_db(transactional_db: None) -> Iterator[None]:
    """pytest-django's, and it gives back the connections by which async tests ask the database."""
    yield
    close_abandoned()
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()


@pytest.fixture(autouse=True)
def media(tmp_path: Path, settings: Settings) -> Path:
    directory = tmp_path / "media"
    settings.MEDIA_ROOT = directory
    return directory


@pytest.fixture(autouse=True)
def _fresh_cache(settings: Settings) -> None:
    """Rate limits are counted in the cache; one test's tries are not another's. (Clearing would empty all of Redis.)"""
    settings.CACHES = {"default": settings.CACHES["default"] | {"KEY_PREFIX": uuid4().hex}}


def make_user(name: str) -> User:
    user = User.objects.create_user(f"{name.lower()}@example.com", PASSWORD)
    update_profile(user, display_name=name)
    create_verified_addresses([user])
    return user


@pytest.fixture
def alice(transactional_db: None) -> User:
    return make_user("Alice")


@pytest.fixture
def bob(transactional_db: None) -> User:
    return make_user("Bob")


@pytest.fixture
async def api(transactional_db: None) -> AsyncIterator[ApiFor]:
    """`await api(alice)` is Alice at the HTTP door, `await api()` a visitor."""
    async with AsyncExitStack() as stack:

        async def enter(user: User | None = None) -> Api:
            cookies = await sync_to_async(session_cookies)(user) if user else {}
            return await stack.enter_async_context(Api(cookies))

        yield enter


@pytest.fixture
async def socket(transactional_db: None) -> AsyncIterator[SocketFor]:
    """`await socket(alice)` is Alice's WebSocket, connected and acknowledged."""
    async with AsyncExitStack() as stack:

        async def connect(user: User) -> Socket:
            cookies = await sync_to_async(session_cookies)(user)
            return await stack.enter_async_context(Socket(cookies))

        yield connect
