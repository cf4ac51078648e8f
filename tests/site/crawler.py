"""Asks for every field that the schema has, along every way that leads to it.

It knows no app: what it asks is made from the schema, so a new app is covered on the day it is installed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_non_null_type,
    is_required_argument,
    is_required_input_field,
)

type Place = tuple[str, str]
"""A type's name and a field's."""

VALUES = {"Int": "1", "Float": "1", "Boolean": "true"}
"""Of scalars; the others' is a text."""


def selection(schema: GraphQLSchema, type_: GraphQLNamedType, above: frozenset[str] = frozenset()) -> str:
    """Everything below an object of that type; where one leads back to its own type, that it is there."""
    fields = ""
    match type_:
        case _ if is_leaf_type(type_):
            return ""
        case GraphQLUnionType() | GraphQLInterfaceType():
            possible = schema.get_possible_types(type_)
            fields = " ".join(f"... on {one.name} {selection(schema, one, above)}" for one in possible)
        case GraphQLObjectType(name=own) if own not in above:
            fields = " ".join(
                # A name for each type, for one field may have other types elsewhere in a union.
                f"{own}_{name}: {call(name, field)} {selection(schema, get_named_type(field.type), above | {own})}"
                for name, field in type_.fields.items()
            )
    return f"{{ __typename {fields} }}"


def call(name: str, field: GraphQLField, values: Mapping[str, str] = VALUES) -> str:
    """The field, with the arguments that it can't do without."""
    arguments = [f"{key}: {some(one.type, values)}" for key, one in field.args.items() if is_required_argument(one)]
    return f"{name}({', '.join(arguments)})" if arguments else name


def some(type_: GraphQLInputType, values: Mapping[str, str]) -> str:
    """Some value of that type, as it is written in a document."""
    match type_:
        case GraphQLNonNull():
            return some(type_.of_type, values)
        case GraphQLList():
            return "[]"
        case GraphQLEnumType():
            return next(iter(type_.values))
        case GraphQLInputObjectType():
            fields = {name: field.type for name, field in type_.fields.items() if is_required_input_field(field)}
            return f"{{ {', '.join(f'{name}: {some(one, values)}' for name, one in fields.items())} }}"
    return values.get(str(type_), '"x"')


def operations(schema: GraphQLSchema, ids: Mapping[str, list[str]]) -> Iterator[str]:
    """A document for each root field; `node` for each of the ids, which are by type."""
    for operation, root in (
        ("query", schema.query_type),
        ("subscription", schema.subscription_type),
        ("mutation", schema.mutation_type),
    ):
        for name, field in root.fields.items() if root else ():
            if name == "node":
                for type_name, its in ids.items():
                    below = selection(schema, schema.type_map[type_name])
                    for one in its:
                        yield f'{{ node(id: "{one}") {{ __typename ... on {type_name} {below} }} }}'
            else:
                yield f"{operation} {{ {call(name, field)} {selection(schema, get_named_type(field.type))} }}"


def places(schema: GraphQLSchema, *roots: GraphQLObjectType | None) -> set[Place]:
    """The fields of all objects that are below those."""
    found: set[Place] = set()
    todo: list[GraphQLNamedType] = [get_named_type(one.type) for root in roots if root for one in root.fields.values()]
    while todo:
        type_ = todo.pop()
        if isinstance(type_, GraphQLUnionType | GraphQLInterfaceType):
            todo.extend(schema.get_possible_types(type_))
        elif isinstance(type_, GraphQLObjectType):
            for name, field in type_.fields.items():
                if (type_.name, name) not in found:
                    found.add((type_.name, name))
                    todo.append(get_named_type(field.type))
    return found


def may_be_null(schema: GraphQLSchema, place: Place) -> bool:
    """Whether the field leads to another object, or to none."""
    field = schema.type_map[place[0]].fields[place[1]]  # type: ignore[attr-defined]
    return not is_non_null_type(field.type) and not is_leaf_type(get_named_type(field.type))


def seen(data: Any) -> Iterator[tuple[Place, bool]]:
    """The fields that an answer holds, each with whether there was something."""
    if isinstance(data, list):
        for one in data:
            yield from seen(one)
    elif isinstance(data, dict):
        for key, value in data.items():
            if "__typename" in data and key != "__typename":
                yield (data["__typename"], key.partition("_")[2]), value is not None
            yield from seen(value)
