"""The schema: the `Query`, `Mutation` and `Subscription` of each installed app's `schema.py`, found by convention."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import strawberry
from django.apps import apps
from django.utils.module_loading import module_has_submodule
from strawberry import relay
from strawberry.extensions import FieldExtension
from strawberry.tools import merge_types
from strawberry.types import get_object_definition

from apps.errors import BadUserInput
from apps.users.types import Info
from config.graphql.events import EventsExecutor
from config.graphql.fields import TextArguments, Uninterrupted, state_text_rule
from config.graphql.limits import Limits


def says_who_may_see(node_type: type[relay.Node]) -> bool:
    """Whether it has a `resolve_node` of its own. Strawberry's finds whatever there is, for whoever asks."""
    return not node_type.resolve_node.__module__.startswith(("strawberry.", "strawberry_django."))


@strawberry.type
class NodeQuery:
    @strawberry.field(
        description="Null for a visitor, for what does not exist, and for what the caller may not see. Any signed-in "
        "user may see any Profile."
    )
    async def node(self, info: Info, id: relay.GlobalID) -> relay.Node | None:
        if await info.context.visitor_or_user() is None:
            return None
        node_type = id.resolve_type(info)  # else a GlobalIDValueError
        if not says_who_may_see(node_type):
            raise BadUserInput("This is no id of an object.")
        return await node_type.resolve_node(id.node_id, info=info, required=False)  # type: ignore[misc]


def operations(name: str) -> tuple[type[Any], ...]:
    """The classes of that name in the apps' `schema.py`, in the order of `INSTALLED_APPS`."""
    modules = [
        import_module(f"{config.name}.schema")
        for config in apps.get_app_configs()
        if config.name.startswith("apps.") and module_has_submodule(config.module, "schema")
    ]
    return tuple(getattr(module, name) for module in modules if hasattr(module, name))


def root(name: str, *parts: type[Any], guards: Sequence[FieldExtension] = ()) -> type[Any]:
    """One root type of all its parts, each of its fields guarded."""
    merged = merge_types(name, parts)
    for field in get_object_definition(merged, strict=True).fields:
        state_text_rule(field.arguments)
        field.extensions += [TextArguments(field), *guards]
    return merged


class Schema(strawberry.Schema):
    def process_errors(self, errors: Any, execution_context: Any = None) -> None:
        """Strawberry would log every error, also those that clients are meant to get: the doors log the rest."""


schema = Schema(
    query=root("Query", NodeQuery, *operations("Query")),
    mutation=root("Mutation", *operations("Mutation"), guards=[Uninterrupted()]),
    subscription=root("Subscription", *operations("Subscription")),
    extensions=[Limits],
    execution_context_class=EventsExecutor,
)
