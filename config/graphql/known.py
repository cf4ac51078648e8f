"""Queries that have come before, executed at once.

Strawberry takes each operation through the hooks of its extensions, which takes as long as executing it does. Ours
(`config.graphql.limits`) have nothing more to say of a document that was kept, unless its pages have grown.
"""

from inspect import isawaitable
from typing import Any

import strawberry
from graphql import ExecutionResult as CoreResult
from graphql import OperationDefinitionNode, OperationType, execute
from strawberry.execution import optimized_is_awaitable
from strawberry.types.execution import ExecutionResult

from config.graphql.documents import Document
from config.graphql.errors import failure
from config.graphql.limits import Limits, known_document, limited_time
from config.graphql.parameters import Parameters


async def execute_known(schema: strawberry.Schema, parameters: Parameters, context: Any) -> ExecutionResult | None:
    """The result that `schema.execute` would give. None for what only that can tell."""
    if list(schema.extensions) != [Limits] or schema.directives:
        return None  # somebody else's extensions are to see every operation
    document = known_document(parameters.query, schema)
    if document is None or not document.is_within_limits(parameters.variables) or not _is_query(document, parameters):
        return None
    try:
        async with limited_time():
            result = execute(
                schema._schema,
                document,
                context_value=context,
                variable_values=parameters.variables,
                operation_name=parameters.operation_name,
                executor_class=schema.execution_context_class,
                is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]  # as Strawberry passes it
            )
            done: CoreResult = await result if isawaitable(result) else result
    except Exception as error:  # first of all, that it took too long
        return failure(error)
    return ExecutionResult(data=done.data, errors=done.errors)


def _is_query(document: Document, parameters: Parameters) -> bool:
    """Whether it is clear which operation is meant, and that is a query."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if parameters.operation_name is not None:
        operations = [node for node in operations if node.name and node.name.value == parameters.operation_name]
    return len(operations) == 1 and operations[0].operation is OperationType.QUERY
