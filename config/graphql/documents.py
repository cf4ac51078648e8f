"""Clients send the same few documents again and again. One that is valid is parsed and validated once."""

from collections import OrderedDict
from collections.abc import Hashable

from graphql import DocumentNode

MAX_CHARACTERS = 128 * 1024
"""Of all that are kept, together. In memory they take 80 times as much, hostile ones 270 times."""


class Documents:
    """Those that were used last, by their text and by what else their validity depends on."""

    def __init__(self, max_characters: int = MAX_CHARACTERS) -> None:
        self._documents: OrderedDict[tuple[str, Hashable], DocumentNode] = OrderedDict()
        self._characters = 0
        self._max_characters = max_characters

    def find(self, text: str, rules: Hashable) -> DocumentNode | None:
        if document := self._documents.get((text, rules)):
            self._documents.move_to_end((text, rules))
        return document

    def keep(self, text: str, rules: Hashable, document: DocumentNode) -> None:
        if (text, rules) not in self._documents:
            self._documents[text, rules] = document
            self._characters += len(text)
            while self._characters > self._max_characters:
                (oldest, _), _ = self._documents.popitem(last=False)
                self._characters -= len(oldest)


documents = Documents()
