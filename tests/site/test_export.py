"""One's own data as a file, from every app that keeps some."""

from typing import Any

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from apps.notifications.kinds import Announcement
from apps.notifications.services import anotify
from apps.profiles.services import aupdate_profile
from apps.users.models import User
from tests.accounts.operations import LOG_IN, ask
from tests.conftest import PASSWORD, ApiFor


async def exported(api: ApiFor, email: str) -> Any:
    client = await api()
    await ask(client, LOG_IN, email=email, password=PASSWORD)
    answer = await client.get("/settings/export/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"].startswith('attachment; filename="testserver-')
    assert "no-store" in answer.headers["cache-control"]
    return answer.json()


async def test_it_works(api: ApiFor, alice: User, bob: User) -> None:
    await aupdate_profile(alice, bio="Grüße")
    await anotify([alice, bob], Announcement("Hello"), actor=bob)
    data = await exported(api, "alice@example.com")
    assert data["accounts"]["email"] == "alice@example.com"
    assert data["accounts"]["email_addresses"] == [{"email": "alice@example.com", "verified": True, "primary": True}]
    assert data["accounts"]["sessions"][0]["ip"] == "127.0.0.1"
    assert data["profiles"] == {"display_name": "Alice", "bio": "Grüße", "avatar": None}
    [notification] = data["notifications"]["notifications"]
    assert notification["data"] == {"title": "Hello", "body": "", "url": ""}
    assert notification["actor__display_name"] == "Bob"


async def test_nobody_else_s(api: ApiFor, alice: User, bob: User) -> None:
    await anotify([bob], Announcement("For Bob"))
    assert "Bob" not in str(await exported(api, "alice@example.com"))


async def test_no_secrets(api: ApiFor, alice: User) -> None:
    text = str(await exported(api, "alice@example.com"))
    assert alice.password not in text
    assert "session_key" not in text
    assert "token" not in text


async def test_a_visitor(api: ApiFor, transactional_db: None) -> None:
    assert (await (await api()).get("/settings/export/")).status_code == 302


def test_every_app_that_keeps_something_of_a_user_exports_it() -> None:
    for config in apps.get_app_configs():
        if config.name.startswith("apps.") and config.name != "apps.users":
            keeps = any(
                field.related_model is User for model in config.get_models() for field in model._meta.get_fields()
            )
            assert module_has_submodule(config.module, "export") or not keeps, config.name
