"""What compiled selections are made of: writers, which make of a value what the answer says of it.

Compiled are attributes, ids of nodes, and sync resolvers that want no `info`: of objects, lists, scalars and enums. A
root field with anything else below it (unions, interfaces, async resolvers, extensions, permissions) is not, nor is
what Django would have to load. Each writer does what graphql-core does in the same place, and Strawberry's wrappers.
"""

from collections.abc import Callable
from datetime import date, datetime
from enum import Enum
from functools import cache, partial
from inspect import Parameter, isfunction
from operator import attrgetter
from typing import Any, Final, cast

from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor, ReverseOneToOneDescriptor
from django.db.models.query_utils import DeferredAttribute
from graphql import (
    GraphQLBoolean,
    GraphQLField,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
    Undefined,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetails, FieldDetailsList
from graphql.execution.values import get_argument_values
from graphql.type.scalars import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT
from strawberry import relay
from strawberry.execution import optimized_is_awaitable
from strawberry.relay.utils import to_base64
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types import get_object_definition
from strawberry.types.arguments import convert_arguments
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE
from strawberry.types.field import StrawberryField
from strawberry_django.fields.field import StrawberryDjangoField
from strawberry_django.relay import resolve_model_id

type Write = Callable[[Any], Any]
"""Raises, whatever it is, for what only the plain path can tell."""

DEFINITION: Final = GraphQLCoreConverter.DEFINITION_BACKREF
NODE_ID: Final[Any] = get_object_definition(relay.Node, strict=True).fields[0].base_resolver
"""The resolver of every node's `id`."""
EXACT: Final[list[tuple[Any, type]]] = [(GraphQLString, str), (GraphQLID, str), (GraphQLBoolean, bool)]
"""Scalars, and the type whose values they write as they are."""
HARMLESS: Final = frozenset({bool, bytes, date, datetime, dict, float, int, list, str})
"""The types of values that need no second look: neither errors that were returned nor to be awaited."""


class PlainPath(Exception):
    """This is not compiled, or its answer has an error."""


def is_constant(value: Any) -> bool:
    """Whether it can be a key, and can't be changed by who is given it."""
    return value is None or value is Undefined or isinstance(value, str | int | Enum)


class Compiler:
    """Of one root field. Each method raises if it finds something that it does not compile."""

    def __init__(self, executor: Executor, max_fields: int) -> None:
        self.fields = 0
        self._executor = executor
        self._max_fields = max_fields
        self._root = executor.schema.get_root_type(executor.operation.operation)
        self._converter = executor.schema.extensions[DEFINITION].schema_converter

    def value(self, type_: GraphQLOutputType, details: FieldDetailsList, *, required: bool = False) -> Write:
        """What completes a value, as graphql-core's `complete_value` does."""
        if is_non_null_type(type_):
            return self.value(type_.of_type, details, required=True)
        if is_list_type(type_):
            return _list(self.value(type_.of_type, details), required)
        if is_leaf_type(type_):
            return _leaf(type_, required)
        if is_object_type(type_) and type_ is not self._root:
            return self._object(type_, details, required)
        raise PlainPath

    def _object(self, type_: GraphQLObjectType, details: FieldDetailsList, required: bool) -> Write:
        grouped, deferred, _ = self._executor.collect_subfields(type_, details)
        if deferred:
            raise PlainPath
        fields = [(key, *self._field(type_, below)) for key, below in grouped.items()]
        if not _is_strawberrys(type_):
            raise PlainPath
        is_type_of, model, usual = type_.is_type_of, _model(type_), _python_type(type_)

        def write(value: Any) -> Any:
            if value is None or value is Undefined:
                return _null(required)
            if type(value) is usual:
                if TYPE_CAST_ATTRIBUTE in value.__dict__:  # by which it says that it is of another type
                    raise PlainPath
            elif model:
                raise PlainPath  # which knows what else may take its place
            else:
                _refuse(value)
                if is_type_of and not is_type_of(value, cast(Any, None)):
                    raise PlainPath
            return {key: complete(read(value)) for key, read, complete in fields}

        return write

    def _field(self, type_: GraphQLObjectType, details: FieldDetailsList) -> tuple[Write, Write]:
        """What reads the field of an object, and what completes what was read."""
        self.fields += 1
        if self.fields > self._max_fields:
            raise PlainPath
        if any(one.name.value not in {"skip", "include"} for each in details for one in each.node.directives or ()):
            raise PlainPath
        name = details[0].node.name.value
        if name == "__typename":
            return lambda _: type_.name, lambda value: value
        field = type_.fields[name]
        return self._reader(type_, field, details[0]), self.value(field.type, details)

    def _reader(self, type_: GraphQLObjectType, field: GraphQLField, details: FieldDetails) -> Write:
        definition = field.extensions[DEFINITION]
        resolver = definition.base_resolver
        if definition.extensions:
            raise PlainPath
        if type(definition) is StrawberryDjangoField and resolver is None and not field.args:
            return _column(getattr(_model(type_), definition.django_name or definition.python_name))
        if type(definition) is not StrawberryField:
            raise PlainPath
        if resolver is None:
            if definition.default_resolver is not getattr:
                raise PlainPath
            return attrgetter(definition.python_name)
        if getattr(resolver.wrapped_func, "__func__", None) is NODE_ID.wrapped_func.__func__:
            return _node_id(type_)
        return self._resolver(definition, field, details)

    def _resolver(self, definition: StrawberryField, field: GraphQLField, details: FieldDetails) -> Write:
        """A sync resolver that is given the object, by whatever names, and then arguments that are always the same."""
        resolver = definition.base_resolver
        if resolver is None or resolver.is_async or resolver.info_parameter or not isfunction(resolver.wrapped_func):
            raise PlainPath
        sources = {resolver.self_parameter, resolver.root_parameter, resolver.parent_parameter} - {None}
        first = list(resolver.signature.parameters.values())[: len(sources)]
        if set(first) != sources or any(one.kind is not Parameter.POSITIONAL_OR_KEYWORD for one in first):
            raise PlainPath
        executor = self._executor
        given = get_argument_values(
            field, details.node, executor.variable_values, details.fragment_variable_values, executor.hide_suggestions
        )
        converter = self._converter
        arguments = convert_arguments(given, definition.arguments, converter.scalar_registry, converter.config)
        if not all(is_constant(value) for value in arguments.values()):
            raise PlainPath
        resolve: Callable[..., Any] = (
            partial(resolver.wrapped_func, **arguments) if arguments else resolver.wrapped_func
        )
        match len(sources):
            case 0:
                return lambda _: resolve()
            case 1:
                return resolve
            case number:
                return lambda source: resolve(*(source,) * number)


def _model(type_: GraphQLObjectType) -> Any:
    django_type = getattr(type_.extensions[DEFINITION].origin, "__strawberry_django_definition__", None)
    return django_type and django_type.model


def _is_strawberrys(type_: GraphQLObjectType) -> bool:
    """Whether what says if an object is of that type is Strawberry's own. Somebody else's may want `info`."""
    classes = type_.extensions[DEFINITION].origin.__mro__
    own = [type_.is_type_of, *(vars(one).get("is_type_of") for one in classes)]
    return all(not one or one.__module__.startswith(("strawberry.", "strawberry_django.")) for one in own)


def _python_type(type_: GraphQLObjectType) -> type:
    """Of the objects that are usually of that type."""
    definition = type_.extensions[DEFINITION]
    python_type = _model(type_) or (definition.concrete_of or definition).origin
    if issubclass(python_type, Exception) or hasattr(python_type, "__await__"):
        raise PlainPath
    return cast(type, python_type)


@cache
def _column(descriptor: Any) -> Write:
    """Reads what is loaded. A `KeyError` for what is not: reading the attribute would ask the database."""
    match descriptor:
        case DeferredAttribute() if type(descriptor).__get__ is DeferredAttribute.__get__:
            name = descriptor.field.attname
            return lambda source: source.__dict__[name]
        case ForwardManyToOneDescriptor():
            return cast(Write, descriptor.field.get_cached_value)
        case ReverseOneToOneDescriptor():
            return cast(Write, descriptor.related.get_cached_value)
    raise PlainPath


def _node_id(type_: GraphQLObjectType) -> Write:
    origin, model, type_name = type_.extensions[DEFINITION].origin, _model(type_), type_.name
    is_usual = origin.resolve_id.__func__ is resolve_model_id
    if not is_usual or origin.resolve_typename.__func__ is not relay.Node.resolve_typename.__func__:  # type: ignore[attr-defined]
        raise PlainPath
    attribute = origin.resolve_id_attr()
    name = model._meta.pk.attname if attribute == "pk" else attribute
    return lambda source: to_base64(type_name, source.__dict__[name])


def _null(required: bool) -> None:
    if required:
        raise PlainPath


def _refuse(value: Any) -> None:
    """Raises for what is no value yet, or an error that was returned."""
    if isinstance(value, Exception):
        raise PlainPath
    if optimized_is_awaitable(value):
        if hasattr(value, "close"):
            value.close()  # the plain path gets another
        raise PlainPath


def _list(item: Write, required: bool) -> Write:
    def write(value: Any) -> Any:
        if type(value) is list or type(value) is tuple:
            return [item(one) for one in value]
        if value is None or value is Undefined:
            return _null(required)
        raise PlainPath  # a queryset, perhaps, which is asked for each of its rows

    return write


@cache
def _leaf(type_: GraphQLLeafType, required: bool) -> Write:
    coerce = type_.coerce_output_value

    def write(value: Any) -> Any:
        if value is None or value is Undefined:
            return _null(required)
        if type(value) not in HARMLESS:
            _refuse(value)
        coerced = coerce(value)
        if coerced is None or coerced is Undefined:
            raise PlainPath
        return coerced

    def write_int(value: Any) -> Any:
        return value if type(value) is int and GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT else write(value)

    if type_ is GraphQLInt:
        return write_int
    for scalar, exact in EXACT:
        if type_ is scalar:
            return lambda value: value if type(value) is exact else write(value)
    return write
