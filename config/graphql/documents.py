"""Clients send the same few documents again and again. One that is valid is parsed and validated once."""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import DocumentNode

from apps.users.types import MAX_PAGE
from config.graphql.selections import Selections

MAX_CHARACTERS = 128 * 1024
"""Of all that are kept, together. In memory they take 80 times as much, hostile ones 270 times; with
what is compiled of them, twice that at the most."""


def page(variables: Mapping[str, Any], name: str) -> int:
    """The size of a page that a variable says; the largest for what is none."""
    first = variables.get(name, MAX_PAGE)
    return clamped(first) if type(first) is int else MAX_PAGE


def clamped(first: int) -> int:
    return max(1, min(first, MAX_PAGE))


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Document(DocumentNode):
    """One that is kept, and what is known of it when it comes again."""

    selections: Selections
    pages: dict[str, int]
    """With pages of at most these sizes, by the names of variables, it is within the limits."""

    def is_within_limits(self, variables: Mapping[str, Any] | None) -> bool:
        """False where it has to be measured anew."""
        return all(page(variables or {}, name) <= size for name, size in self.pages.items())


class Documents:
    """Those that were used last, by their text and by what else their validity depends on."""

    def __init__(self, max_characters: int = MAX_CHARACTERS) -> None:
        self._documents: OrderedDict[tuple[str, Hashable], Document] = OrderedDict()
        self._characters = 0
        self._max_characters = max_characters

    def find(self, text: str, rules: Hashable) -> Document | None:
        if document := self._documents.get((text, rules)):
            self._documents.move_to_end((text, rules))
        return document

    def keep(self, text: str, rules: Hashable, document: DocumentNode, pages: dict[str, int]) -> Document:
        selections = Selections(len(text))
        kept = Document(definitions=document.definitions, loc=document.loc, selections=selections, pages=pages)
        if (text, rules) not in self._documents:
            self._documents[text, rules] = kept
            self._characters += len(text)
            while self._characters > self._max_characters:
                (oldest, _), _ = self._documents.popitem(last=False)
                self._characters -= len(oldest)
        return kept


documents = Documents()
