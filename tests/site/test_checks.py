"""Each system check, caught in the act."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import strawberry
import strawberry_django
from allauth.account.models import EmailAddress
from django.apps import AppConfig
from django.core.checks import run_checks
from django.db import models
from django.test.utils import isolate_apps
from pytest_django import Settings
from strawberry import relay

import config.schema
from apps.models import Model, QuerySet
from config import checks
from config.graphql import http
from config.schema import NodeQuery
from tests.conftest import ApiFor, User

pytestmark = pytest.mark.django_db  # Django's own checks ask it what it can do


def ids() -> set[str]:
    return {message.id for message in run_checks() if message.id and message.id.startswith("site.")}


def test_it_works() -> None:
    assert ids() == set()


@isolate_apps("apps.users")
def test_a_model_that_loads_when_it_is_touched() -> None:
    class LazyQuerySet(models.QuerySet[Any]):
        pass

    class Stock(models.Model):  # noqa: DJ008
        class Meta:
            app_label = "users"

    class LazyObjects(Model):
        objects = LazyQuerySet.as_manager()  # type: ignore[assignment]

        class Meta:
            app_label = "users"

    class Careful(Model):
        objects = QuerySet.as_manager()

        class Meta:
            app_label = "users"

    def found(model: type[models.Model]) -> set[tuple[str | None, object]]:
        app = SimpleNamespace(name="apps.shop", get_models=lambda: [model])
        return {(message.id, message.obj) for message in checks.check_models([cast(AppConfig, app)])}

    assert found(Stock) == {("site.E001", Stock)}
    assert found(LazyObjects) == {("site.E001", LazyObjects)}
    assert found(Careful) == set()


def sync_middleware(get_response: Callable[..., Any]) -> Callable[..., Any]:
    return get_response


def test_a_middleware_that_is_sync_only(settings: Settings) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.site.test_checks.sync_middleware"]
    assert ids() == {"site.W001"}


@pytest.mark.parametrize(
    ("option", "found"),
    [
        ({"ATOMIC_REQUESTS": True}, "site.E002"),
        ({"CONN_MAX_AGE": 60}, "site.E003"),
        ({"CONN_MAX_AGE": None}, "site.E003"),  # for ever
    ],
)
def test_a_database_for_threads_that_stay(
    option: dict[str, Any], found: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in option.items():
        monkeypatch.setitem(settings.DATABASES["default"], name, value)
    assert [message.id for message in checks.check_databases()] == [found]


def test_several_processes_that_share_nothing(settings: Settings) -> None:
    settings.WEB_CONCURRENCY = 2
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    assert ids() == {"site.E004", "site.E005"}
    settings.WEB_CONCURRENCY = 1
    assert ids() == set()


def test_the_layer_that_loses_messages(settings: Settings) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer"}}
    assert ids() == {"site.E006"}


@pytest.mark.parametrize(("installed", "found"), [("2.3.1", {"site.E007"}), ("2.3.2", set()), ("2.8.7", set())])
def test_a_granian_that_does_not_close(installed: str, found: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "version", lambda name: {"granian": installed}[name])
    assert ids() == found


def test_a_resolver_on_the_wrong_side(monkeypatch: pytest.MonkeyPatch) -> None:
    @strawberry.type
    class Order:
        number: int

        @strawberry.field
        def label(self) -> str:
            return f"No. {self.number}"

        @strawberry.field
        async def customer(self) -> str:
            return "asked for once for every order"

    @strawberry.type
    class Query:
        @strawberry.field
        async def orders(self) -> list[Order]:
            return []

        @strawberry.field
        def total(self) -> int:
            return 0

    monkeypatch.setattr(config.schema, "schema", strawberry.Schema(Query))
    messages = list(checks.check_schema())
    assert {message.id for message in messages} == {"site.E008", "site.W002"}
    assert "`Query.total` is sync" in messages[0].msg
    assert "`Order.customer` is async" in messages[1].msg


@strawberry_django.type(EmailAddress, name="Address")
class AddressType(relay.Node):
    email: str


@strawberry.type
class Addresses(NodeQuery):
    @strawberry.field
    async def addresses(self) -> list[AddressType]:
        return []


async def test_a_node_that_does_not_say_who_may_see_it(
    api: ApiFor, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = strawberry.Schema(Addresses)
    monkeypatch.setattr(config.schema, "schema", planted)
    [message] = checks.check_schema()
    assert (message.id, message.obj) == ("site.E009", AddressType)

    monkeypatch.setattr(http, "schema", planted)
    address = await EmailAddress.objects.aget(user=bob)
    answer = await (await api(alice)).ask(
        "query ($id: ID!) { node(id: $id) { ... on Address { email } } }", id=relay.to_base64("Address", address.pk)
    )
    assert (answer.codes, answer.data) == (["BAD_USER_INPUT"], {"node": None})


def test_each_says_how_to_mend_it(settings: Settings) -> None:
    settings.WEB_CONCURRENCY = 2
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer"}}
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    settings.MIDDLEWARE = ["tests.site.test_checks.sync_middleware"]
    found = [message for message in run_checks() if message.id and message.id.startswith("site.")]
    assert len(found) == 3
    assert all(message.hint for message in found)
