"""System checks: what brings back a trap of async Django is told by `manage.py check`, with how to mend it.

Each has an id, which `SILENCED_SYSTEM_CHECKS` takes where you know better; the README lists them.
"""

from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register
from django.db.models import FETCH_RAISE
from django.utils.module_loading import import_string
from strawberry import relay
from strawberry.types import get_object_definition
from strawberry.types.base import StrawberryObjectDefinition

GRANIAN = (2, 3, 2)
"""The first that closes a WebSocket when the application says so."""


def check_models(app_configs: Iterable[AppConfig] | None, **_: Any) -> Iterator[CheckMessage]:
    for config in app_configs or apps.get_app_configs():
        if not config.name.startswith("apps."):
            continue
        for model in config.get_models():
            for manager in {model._default_manager, model._base_manager}:
                if manager.get_queryset()._fetch_mode is not FETCH_RAISE:  # type: ignore[attr-defined]
                    yield Error(
                        f"`{manager.name}` loads relations when they are touched.",
                        hint="Inherit apps.models.Model, and make its managers from apps.models.QuerySet.",
                        obj=model,
                        id="site.E001",
                    )


def check_middleware(**_: Any) -> Iterator[CheckMessage]:
    for path in settings.MIDDLEWARE:
        if not getattr(import_string(path), "async_capable", False):
            yield checks.Warning(
                f"The middleware {path} is sync only: every request waits for a thread to go through it, and back.",
                hint="Decorate it with django.utils.decorators.sync_and_async_middleware, or look for an async one.",
                id="site.W001",
            )


def check_databases(**_: Any) -> Iterator[CheckMessage]:
    for alias, database in settings.DATABASES.items():
        if database.get("ATOMIC_REQUESTS"):
            yield Error(
                f"ATOMIC_REQUESTS is on for the database {alias!r}, and Django refuses it to async views.",
                hint="Open the transaction where the work is: in a service.",
                id="site.E002",
            )
        if database.get("CONN_MAX_AGE", 0) != 0:
            yield Error(
                f"CONN_MAX_AGE keeps a connection to the database {alias!r} for every thread, and under ASGI threads "
                "come and go: the connections stay.",
                hint='Leave it 0, and keep connections in psycopg\'s pool: OPTIONS["pool"].',
                id="site.E003",
            )


def check_processes(**_: Any) -> Iterator[CheckMessage]:
    if settings.WEB_CONCURRENCY < 2:
        return
    hint = "Set REDIS_URL, or WEB_CONCURRENCY to 1."
    if settings.CHANNEL_LAYERS["default"]["BACKEND"].endswith(".InMemoryChannelLayer"):
        message = (
            "There are several processes, each with a channel layer of its own: live delivery does not cross them."
        )
        yield Error(message, hint=hint, id="site.E004")
    if settings.CACHES["default"]["BACKEND"].endswith(".LocMemCache"):
        message = "There are several processes, each with a cache of its own: rate limits count in each of them anew."
        yield Error(message, hint=hint, id="site.E005")


def check_layer(**_: Any) -> Iterator[CheckMessage]:
    if settings.CHANNEL_LAYERS["default"]["BACKEND"] == "channels_redis.core.RedisChannelLayer":
        yield Error(
            "channels_redis' default layer loses messages under load, and goes deaf when Redis is flushed.",
            hint="Use apps.notifications.layers.RedisPubSubChannelLayer.",
            id="site.E006",
        )


def check_granian(**_: Any) -> Iterator[CheckMessage]:
    try:
        installed = version("granian")
    except PackageNotFoundError:
        return
    if tuple(int(number) for number in installed.split(".")[:3]) < GRANIAN:
        least = ".".join(map(str, GRANIAN))
        yield Error(
            f"Granian {installed} does not close a WebSocket when the application does.",
            hint=f"Install granian>={least}.",
            id="site.E007",
        )


def check_schema(**_: Any) -> Iterator[CheckMessage]:
    from config.schema import says_who_may_see, schema  # it is made of all apps, so they have to be there first

    roots = [root for root in (schema.query, schema.mutation, schema.subscription) if root]
    for root in roots:
        for field in get_object_definition(root, strict=True).fields:
            if field.base_resolver and not field.is_async:
                yield Error(
                    f"The resolver of `{root.__name__}.{field.python_name}` is sync: it would work on the event loop.",
                    hint="Make it `async def`, and await one service in it.",
                    obj=field.base_resolver.wrapped_func,
                    id="site.E008",
                )
    for concrete in schema.schema_converter.type_map.values():
        definition = concrete.definition
        if not isinstance(definition, StrawberryObjectDefinition) or definition.origin in roots:
            continue
        is_node = not definition.is_interface and issubclass(definition.origin, relay.Node)
        if is_node and not says_who_may_see(definition.origin):
            yield Error(
                f"`{definition.name}` has no `resolve_node` of its own: `node` does not answer its ids.",
                hint="Write one that asks a service for what this user may see; see apps/profiles/types.py.",
                obj=definition.origin,
                id="site.E009",
            )
        for field in definition.fields:
            if field.base_resolver and field.is_async:
                yield checks.Warning(
                    f"The resolver of `{definition.name}.{field.python_name}` is async: it asks once for every object.",
                    hint="Load what it needs in the root field's service, or batch it with strawberry.dataloader.",
                    obj=field.base_resolver.wrapped_func,
                    id="site.W002",
                )


def register_checks() -> None:
    for check in (
        check_models,
        check_middleware,
        check_databases,
        check_processes,
        check_layer,
        check_granian,
        check_schema,
    ):
        register(check)
