"""Selections, compiled: what a client asks for below a root field, as closures that read plain attributes.

graphql-core completes an object field by field, each by Strawberry's wrappers: some 20 µs, for what is nearly always
the reading of one attribute. When a document comes again, it is by what `config.graphql.writers` made of it.

The plain path stays, and is the only one that knows what is wrong. Root fields, their resolvers, arguments and errors
are left to it. Below them the compiled path gives the answer that the plain path would give, complete and without
errors, or nothing: then the plain path answers, from the same value. It may do so because fields below the root only
read what was loaded, so reading twice is reading once.
"""

from collections.abc import Hashable
from contextlib import suppress
from typing import Any

from graphql import (
    FieldNode,
    GraphQLOutputType,
    InlineFragmentNode,
    SelectionSetNode,
    Undefined,
    VariableNode,
    Visitor,
    visit,
)
from graphql.execution.collect_fields import FieldDetailsList
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from config.graphql.writers import DEFINITION, Compiler, Write, is_constant

type Writers = dict[str, Write | None]
"""By the key of a root field in the answer. None: it goes the plain path."""

MAX_FIELDS = 1_000
"""Compiled of one document."""


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's, which leaves what is below a root field to compiled selections, where the document has some."""

    _selections: "Selections | None" = None
    _writers: Writers | None = None

    @classmethod
    def build(cls, schema: Any, document: Any, *arguments: Any, **options: Any) -> Any:
        executor = super().build(schema, document, *arguments, **options)
        selections = getattr(document, "selections", None)
        if selections is not None and isinstance(executor, cls) and not executor._has_middleware():
            executor._selections = selections
            executor._writers = selections.writers(executor)
        return executor

    def _has_middleware(self) -> bool:
        """Of graphql-core or of Strawberry, which would have to see each field."""
        handlers = self.schema.extensions[DEFINITION].schema_converter.exception_handlers
        return bool(handlers or (self.middleware_manager and self.middleware_manager.middlewares))

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: Any,
        path: Any,
        result: Any,
        position_context: Any,
    ) -> Any:
        # At a root field, and not again for what its non-null type wraps.
        if path.prev is None and return_type is info.return_type:
            write = self._writer(path.key, return_type, field_details_list)
            if write:
                with suppress(Exception):
                    return write(result)
        return super().complete_value(return_type, field_details_list, info, path, result, position_context)

    def _writer(self, key: str, return_type: GraphQLOutputType, details: FieldDetailsList) -> Write | None:
        if self._selections is None or self._writers is None or not details[0].node.selection_set:
            return None
        if key not in self._writers:
            self._writers[key] = self._selections.compile(self, return_type, details)
        return self._writers[key]


class Selections:
    """Those of one document. Its operations' variables are part of what is compiled."""

    def __init__(self, characters: int) -> None:
        self._max_fields = min(characters // 2, MAX_FIELDS)  # however small fragments and variables make the document
        self.size = 0
        """In fields."""
        self._variables: dict[str | None, list[str]] = {}
        self._writers: dict[Hashable, Writers] = {}

    def writers(self, executor: Executor) -> Writers | None:
        """Those of the executor's operation with such values of its variables. None: they can't be told apart."""
        operation = executor.operation.name.value if executor.operation.name else None
        if operation not in self._variables:
            self._variables[operation] = sorted(_variables_below_root(executor))
        values = [executor.variable_values.coerced.get(name, Undefined) for name in self._variables[operation]]
        if not all(is_constant(value) for value in values):
            return None
        key = (operation, *((type(value), value) for value in values))
        if key not in self._writers:
            self._make_room(1)
            self._writers[key] = {}
        return self._writers[key]

    def compile(self, executor: Executor, return_type: GraphQLOutputType, details: FieldDetailsList) -> Write | None:
        compiler = Compiler(executor, self._max_fields)
        try:
            write = compiler.value(return_type, details)
        except Exception:  # also what is wrong with an argument: the plain path tells
            self._make_room(1)
            return None
        self._make_room(1 + compiler.fields)
        return write

    def _make_room(self, fields: int) -> None:
        self.size += fields
        if self.size > self._max_fields:
            self._writers.clear()
            self.size = fields


def _variables_below_root(executor: Executor) -> set[str]:
    """The variables that may matter below the root fields, or to which fields there are: not the root's arguments."""
    root = executor.schema.get_root_type(executor.operation.operation)
    names = _Names()

    def look(selections: SelectionSetNode) -> None:
        for node in selections.selections:
            for directive in node.directives or ():
                visit(directive, names)
            match node:
                case FieldNode(selection_set=SelectionSetNode() as below):
                    visit(below, names)
                case InlineFragmentNode():
                    look(node.selection_set)

    look(executor.operation.selection_set)
    for fragment in executor.fragment_definitions.values():
        if root and fragment.type_condition.name.value == root.name:
            look(fragment.selection_set)
        else:
            visit(fragment, names)
    return names.found


class _Names(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.found.add(node.name.value)
