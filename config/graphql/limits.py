"""How much one document may ask for. All of it is known before anything is executed, and refused with `TOO_COMPLEX`.

Each field costs one, times the sizes of the pages that it is on. What is counted is what would be executed: a fragment
where it is spread, and fields of one name together. Counting ends at `MAX_COST`, so fragments that double eighty times
take no longer than the largest document that is allowed.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Hashable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, cast

from django.conf import settings
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    TokenKind,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
    validate,
)
from graphql.validation import validation_context
from graphql.validation.rules import overlapping_fields_can_be_merged
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types import graphql as strawberry_types

from apps.errors import Refusal
from apps.users.types import DEFAULT_PAGE, MAX_PAGE
from config.graphql.documents import Document, clamped, documents, page

MAX_CHARACTERS = 64 * 1024
MAX_TOKENS = 2_000
MAX_DEPTH = 12
MAX_REPEATS = 20
"""Of one field in one place of the answer, by whatever alias."""
MAX_MUTATIONS = 10
MAX_COST = 10_000
MAX_FRAGMENTS = 50
MAX_DIGITS = 400
"""Of a number; Python refuses to read one of 4,300."""
MAX_ERRORS = 10
"""More than these, validation does not look for: each may quote the whole document."""
# graphql-core's own, which are for validation on a server with time to spare. What is over is TOO_COMPLEX too.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 100_000
validation_context.MAX_FRAGMENT_WORK = 10_000
MAX_SECONDS = 10
"""Of executing a query. A mutation runs to its end, and a subscription has none."""


class TooComplex(Refusal):
    code = "TOO_COMPLEX"


class TimedOut(Refusal):
    code = "TIMEOUT"


class Limits(SchemaExtension):
    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        context.parse_options.update(
            max_tokens=MAX_TOKENS,
            max_source_length=MAX_CHARACTERS,  # type: ignore[call-arg]  # which graphql-core knows, and Strawberry not
        )
        # Before there is a document this is what the client asked for, and not the name of the first operation.
        self._is_named = context.operation_name is not None
        self._known = context.graphql_document = known_document(context.query or "", context.schema)
        yield

    def on_validate(self) -> Iterator[None]:
        """Takes validation's place, which takes quadratic time for some documents that are too complex."""
        self.execution_context.pre_execution_errors = self._validate()
        yield

    def _validate(self) -> list[GraphQLError]:
        context = self.execution_context
        schema = context.schema._schema
        document = cast(DocumentNode, context.graphql_document)  # it has been parsed
        if not self._is_named and sum(isinstance(node, OperationDefinitionNode) for node in document.definitions) > 1:
            message = "The document has several operations: `operationName` must say which."
            return [GraphQLError(message, extensions={"code": "OPERATION_RESOLUTION_FAILURE"})]
        if not self._known and _has_long_number(document):
            return [GraphQLError(f"A number has more than {MAX_DIGITS} digits.")]
        variables = context.variables or {}
        if self._known and self._known.is_within_limits(variables):
            return []
        try:
            pages = measure(document, schema, variables)
        except TooComplex as error:
            return [GraphQLError(str(error), original_error=error)]
        if self._known:
            self._known.pages.update(pages)
            return []
        rules = [*context.validation_rules, MaybeNullValidationRule, OneOfInputValidationRule]
        if not settings.DEBUG:
            rules.append(NoSchemaIntrospectionCustomRule)
        errors = validate(schema, document, rules, max_errors=MAX_ERRORS)
        if not errors:
            kept = documents.keep(cast(str, context.query), _rules(context.schema), document, pages)
            if context.operation_type is strawberry_types.OperationType.SUBSCRIPTION:
                context.graphql_document = kept  # it is executed for each of its events
        return errors

    async def on_execute(self) -> AsyncIterator[None]:
        if self.execution_context.operation_type is not strawberry_types.OperationType.QUERY:
            yield
            return
        async with limited_time():
            yield


def _rules(schema: Hashable) -> Hashable:
    """By which a document is valid or not."""
    return schema, settings.DEBUG


def known_document(text: str, schema: Hashable) -> Document | None:
    """That document, if it was found to be valid, and has been used lately."""
    return documents.find(text, _rules(schema))


@asynccontextmanager
async def limited_time() -> AsyncIterator[None]:
    """For executing a query. Raises `TimedOut`."""
    try:
        async with asyncio.timeout(MAX_SECONDS):
            yield
    except TimeoutError as error:
        raise TimedOut(f"This took longer than {MAX_SECONDS} seconds.") from error


def _has_long_number(document: DocumentNode) -> bool:
    token = document.loc.start_token if document.loc else None
    while token:
        if token.kind in {TokenKind.INT, TokenKind.FLOAT} and len(token.value or "") > MAX_DIGITS:
            return True
        token = token.next
    return False


class Selections(NamedTuple):
    """What is selected of an object, by one of the fields that lead to it."""

    node: SelectionSetNode
    type: GraphQLNamedType | None
    """None where the schema knows none, which is for validation to tell."""
    on_page: bool = False
    """Of a connection, whose lists are as long as its page."""


def measure(document: DocumentNode, schema: GraphQLSchema, variables: Mapping[str, Any]) -> dict[str, int]:
    """Raises `TooComplex` if all that the document defines costs too much.

    Returns the sizes of the pages on which that depends, by the names of variables: with smaller ones it costs less.
    """
    return _Measuring(document, schema, variables).pages


class _Measuring:
    def __init__(self, document: DocumentNode, schema: GraphQLSchema, variables: Mapping[str, Any]) -> None:
        self.cost = 0
        self.pages: dict[str, int] = {}
        self._schema = schema
        self._variables = variables
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._spread: set[str] = set()
        if len(self._fragments) > MAX_FRAGMENTS:
            raise TooComplex(f"The document has more than {MAX_FRAGMENTS} fragments.")
        for node in document.definitions:
            if isinstance(node, OperationDefinitionNode):
                limit = MAX_MUTATIONS if node.operation is OperationType.MUTATION else MAX_COST
                root = Selections(node.selection_set, schema.get_root_type(node.operation))
                self._add([root], depth=1, copies=1, max_fields=limit)
        for name in self._fragments.keys() - self._spread:  # useless, and validation would look at them all the same
            if not self._is_introspection(self._fragments[name].type_condition.name.value):
                self._add([self._fragment(name)], depth=1, copies=1)

    def _add(self, places: Iterable[Selections], depth: int, copies: int, max_fields: int = MAX_COST) -> None:
        """Adds what is selected in one place of the answer, and below it, of which there will be `copies`."""
        if depth > MAX_DEPTH:
            raise TooComplex(f"Fields are nested more than {MAX_DEPTH} deep.")
        below: defaultdict[str, list[Selections]] = defaultdict(list)
        sizes: defaultdict[str, int] = defaultdict(int)
        repeats: Counter[str] = Counter()
        seen: set[str] = set()
        for node, place in self._fields(places, copies):
            name = node.name.value
            key = node.alias.value if node.alias else name
            if node.selection_set or key not in seen:
                seen.add(key)
                repeats[name] += 1
            if repeats[name] > MAX_REPEATS:
                raise TooComplex(f"The field `{name}` is selected more than {MAX_REPEATS} times in one place.")
            max_fields -= 1
            if max_fields < 0:
                raise TooComplex(f"At most {MAX_MUTATIONS} mutations at once.")
            if node.selection_set and not self._is_introspection(name):
                definition: GraphQLField | None = getattr(place.type, "fields", {}).get(name)
                sizes[key] = max(sizes[key], self._size(node, definition, place.on_page))
                below[key].append(_selections_of(node.selection_set, definition))
        for key, selections in below.items():
            self._add(selections, depth + 1, copies * sizes[key])

    def _is_introspection(self, name: str) -> bool:
        """Of which no limit is kept where it is allowed: its own standard query nests lists in lists."""
        return settings.DEBUG and name.startswith("__")

    def _fields(self, places: Iterable[Selections], copies: int) -> Iterator[tuple[FieldNode, Selections]]:
        """The fields selected there. A fragment counts once, as in execution."""
        todo = list(places)
        spread: set[str] = set()
        while todo:
            place = todo.pop()
            for node in place.node.selections:
                self.cost += copies
                if self.cost > MAX_COST:
                    raise TooComplex(f"The document's cost, fields times page sizes, is over {MAX_COST:,}.")
                match node:
                    case FieldNode():
                        yield node, place
                    case InlineFragmentNode(type_condition=condition):
                        named = self._schema.get_type(condition.name.value) if condition else place.type
                        todo.append(place._replace(node=node.selection_set, type=named))
                    case FragmentSpreadNode(name=name) if name.value not in spread and name.value in self._fragments:
                        spread.add(name.value)
                        self._spread.add(name.value)
                        todo.append(self._fragment(name.value)._replace(on_page=place.on_page))

    def _fragment(self, name: str) -> Selections:
        fragment = self._fragments[name]
        return Selections(fragment.selection_set, self._schema.get_type(fragment.type_condition.name.value))

    def _size(self, node: FieldNode, definition: GraphQLField | None, on_page: bool) -> int:
        """How many objects the field gives at the most."""
        if definition is None:
            return 1
        if "first" in definition.args:
            return self._first(node)
        return MAX_PAGE if is_list_type(get_nullable_type(definition.type)) and not on_page else 1

    def _first(self, node: FieldNode) -> int:
        """The argument `first`; `MAX_PAGE` for what is none, or can't be known yet."""
        for argument in node.arguments or ():
            if argument.name.value == "first":
                match argument.value:
                    case IntValueNode(value=digits) if len(digits) < 10:
                        return clamped(int(digits))
                    case VariableNode(name=name):
                        return self.pages.setdefault(name.value, page(self._variables, name.value))
                return MAX_PAGE
        return DEFAULT_PAGE


def _selections_of(node: SelectionSetNode, definition: GraphQLField | None) -> Selections:
    if definition is None:
        return Selections(node, None)
    return Selections(node, get_named_type(definition.type), on_page="first" in definition.args)
