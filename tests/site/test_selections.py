"""What is below a root field is answered as graphql-core would: by compiled selections, or by graphql-core.

The same operations each time. `FUZZ_SEED=7 FUZZ_TIMES=10` makes ten times as many others.
"""

import asyncio
import gc
import json
import os
import random
import weakref
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, NewType

import pytest
import strawberry
from django.utils.safestring import SafeString
from graphql import (
    DocumentNode,
    ExecutionResult,
    Undefined,
    get_named_type,
    parse,
    specified_rules,
    subscribe,
    validate,
)
from graphql import execute as graphql_execute
from graphql.validation import NoUnusedFragmentsRule, NoUnusedVariablesRule
from strawberry import relay
from strawberry.extensions import FieldExtension, SchemaExtension
from strawberry.permission import BasePermission
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext as PlainExecutor

from apps.notifications.kinds import Announcement
from apps.notifications.models import Notification
from apps.notifications.services import anotify
from apps.notifications.types import NotificationType
from apps.profiles.models import Profile
from apps.users.models import User
from config.graphql.documents import Document, Documents
from config.graphql.events import Events
from config.graphql.events import EventsExecutor as Executor
from tests.conftest import ApiFor, SocketFor

SEED = int(os.environ.get("FUZZ_SEED", "2026"))
DOCUMENTS = 150 * int(os.environ.get("FUZZ_TIMES", "1"))

# ------------------------------------------------------------------------------------------------ a schema of all kinds


@strawberry.enum
class Colour(Enum):
    RED = "r"
    GREEN = strawberry.enum_value("g", name="VERDE")


Fickle = NewType("Fickle", str)


class Anybody(BasePermission):
    def has_permission(self, source: Any, info: strawberry.Info, **_: Any) -> bool:
        return True


class Twice(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        return next_(source, info, **kwargs) * 2


class Failure(Exception):
    """One that GraphQL's `String` would take for text."""


@strawberry.interface
class Named:
    text: str


@strawberry.type
class Other:
    number: int


@strawberry.type
class Card(Named):
    maybe: str | None


async def _later(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


@strawberry.type
class Item:
    text: str
    maybe: str | None
    number: int
    ratio: float | None
    yes: bool | None
    key: strawberry.ID
    fickle: Fickle | None
    when: datetime | None
    colour: Colour
    colours: list[Colour | None]
    json: JSON | None
    grid: list[list[int | None]] | None
    child: "Item | None"
    children: list["Item"]
    sparse: list["Item | None"] | None
    card: Card | None
    named: Named | None
    thing: Annotated[Card | Other, strawberry.union("Thing")] | None
    notification: NotificationType | None

    @strawberry.field
    def shout(self, times: int = 1, colour: Colour = Colour.RED) -> str:
        return f"{self.text}!{times}{colour.name}"

    @strawberry.field
    def echo(self, root: strawberry.Parent["Item"], numbers: list[int] | None = None, word: str | None = None) -> str:
        return f"{root.text} {self.maybe} {numbers} {word}"

    @strawberry.field
    @staticmethod
    def of_parent(parent: strawberry.Parent["Item"]) -> str | None:
        return parent.maybe

    @strawberry.field
    def broken(self) -> str | None:
        raise LookupError(f"No {self.text}")

    @strawberry.field
    def self_and_info(self, info: strawberry.Info) -> str:
        return f"{info.field_name} {self.text}"

    @strawberry.field
    async def late(self) -> str | None:
        return await _later(self.maybe)

    @strawberry.field
    def surprise(self) -> str | None:
        return _later(self.maybe)  # type: ignore[return-value]

    @strawberry.field(permission_classes=[Anybody])
    def guarded(self) -> str:
        return self.text

    @strawberry.field(extensions=[Twice()])
    def doubled(self) -> str:
        return self.text


RARE = {"broken", "selfAndInfo", "late", "surprise", "guarded", "doubled", "named", "thing"}
"""Few selections have them, as a root field with one goes the plain path, or may."""


@strawberry.type
class Query:
    @strawberry.field
    async def item(self, info: strawberry.Info, after: str | None = None) -> Item:
        return info.context["item"]

    @strawberry.field
    def items(self, info: strawberry.Info) -> list[Item] | None:
        return info.context["items"]

    @strawberry.field
    def thing(self, info: strawberry.Info) -> Annotated[Card | Other, strawberry.union("Thing")] | None:
        return info.context["item"].thing

    @strawberry.field
    async def notifications(self, info: strawberry.Info) -> list[NotificationType | None] | None:
        return info.context["notifications"]


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def changed(self, info: strawberry.Info) -> AsyncGenerator[Item | None]:
        try:
            for item in info.context["items"]:
                yield item
        finally:
            info.context.setdefault("closed", []).append(True)

    @strawberry.subscription
    async def failing(self, info: strawberry.Info) -> AsyncGenerator[Item]:
        for item in info.context["items"] * 2:
            yield item
        raise Failure("in the midst")


config = StrawberryConfig(
    scalar_map={Fickle: strawberry.scalar(name="Fickle", serialize=lambda text: text if text == "fickle" else None)}
)
planted = strawberry.Schema(Query, subscription=Subscription, execution_context_class=Executor, config=config)

# ------------------------------------------------------------------------------------------------------ what is there

WRONG: list[Any] = [
    None, None, None, Undefined, 7, -1, 2**31, 2**31 - 1, 1.0, 1.5, float("nan"), float("inf"), True, False, "text", "",
    SafeString("safe"), b"bytes", [], (), {}, [None], object(), Failure("returned"), Colour.GREEN, "g",
    datetime(2026, 1, 1), Item, set(), iter([]), {"text": "mapping"},
]  # fmt: skip
"""Some of which is right somewhere."""


class World:
    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._wrongness = dice.choice([0, 0, 0.02, 0.1])
        self.context: dict[str, Any] = {
            "item": self._item(2),
            "items": [self._item(1) for _ in range(3)],
            "notifications": [self._notification(number) for number in range(3)],
        }

    def _item(self, depth: int) -> Any:
        dice = self._dice
        below = depth > 0
        values = {
            "text": dice.choice(["", "é\0", "text"]),
            "maybe": dice.choice([None, "maybe"]),
            "number": dice.choice([0, 5, -(2**31)]),
            "ratio": dice.choice([None, 0.5, 3]),
            "yes": dice.choice([True, False, None]),
            "key": dice.choice(["key", 5]),
            "fickle": dice.choice([None, "fickle"]),
            "when": dice.choice([None, datetime(2026, 2, 3, tzinfo=UTC)]),
            "colour": dice.choice(list(Colour)),
            "colours": [Colour.RED, None],
            "json": dice.choice([None, 0, {"a": [1]}]),
            "grid": dice.choice([None, [], [[1, None], [], (3,)]]),
            "child": self._item(depth - 1) if below else None,
            "children": [self._item(depth - 1) for _ in range(2)] if below else [],
            "sparse": [self._item(0), None] if below else None,
            "card": Card(text="card", maybe=None),
            "named": Card(text="named", maybe="card"),
            "thing": dice.choice([None, Other(number=1), Card(text="thing", maybe="card")]),
            "notification": self._notification(1),
        }
        return Item(**{name: self._perhaps(value) for name, value in values.items()})

    def _notification(self, number: int) -> Any:
        notification = Notification(
            pk=number, recipient_id=1, sequence=number, kind="notifications.announcement",
            data={"title": "Title", "body": "Body", "url": "/"}, actor=self._dice.choice([None, self._profile()]),
        )  # fmt: skip
        if self._chance():
            del notification.__dict__[self._dice.choice(["id", "kind", "data", "read_at"])]
        if self._chance():
            notification = Notification(pk=number, actor_id=self._dice.choice([None, 7]))  # and not loaded
        if self._chance():
            strawberry.cast(self._dice.choice([NotificationType, Item]), notification)
        return self._perhaps(notification)

    def _profile(self) -> Profile:
        return Profile(user_id=3, display_name="Somebody", avatar=self._dice.choice(["", "a" * 32]))

    def _chance(self) -> bool:
        return self._dice.random() < self._wrongness

    def _perhaps(self, value: Any) -> Any:
        return self._dice.choice(WRONG) if self._chance() else value


# ---------------------------------------------------------------------------------------------------- what is asked for

TYPES: Any = planted._schema.type_map
DIRECTIVES = ["@include(if: $a)", "@skip(if: $b)", "@skip(if: false)", "@include(if: $b) @skip(if: $a)"]
ARGUMENTS = {
    "shout": ["", "(times: 2)", "(times: $n)", "(colour: $colour)", "(colour: RED, times: $n)"],
    "echo": ["", "(word: $word)", "(word: null)", "(numbers: $numbers)", "(numbers: [1])"],
    "item": ["", "(after: $word)"],
    "url": ["", "(size: LARGE)"],
}
"""Of a field, by the number that its name in the answer has then."""
VARIABLES = "$a: Boolean!, $b: Boolean = true, $n: Int, $colour: Colour = VERDE, $word: String, $numbers: [Int!]"


class Asking:
    """A document of all that selections can be."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._fragments: dict[str, str] = {}
        texts = []
        for number, name in enumerate(["Item", "Item", "Notification", "Profile", "Query", "Node", "Card"]):
            if dice.random() < 0.4:
                texts.append(f"fragment F{number} on {name} {self._selections(TYPES[name], 1)}")
                self._fragments[f"F{number}"] = name
        query = self._selections(TYPES["Query"], 0)
        self.text = "\n".join([f"query Q({VARIABLES}) {query}", *texts])

    def variables(self) -> dict[str, Any]:
        dice = self._dice
        variables: dict[str, Any] = {"a": dice.random() < 0.5}
        optional: dict[str, list[Any]] = {
            "b": [True, False],
            "n": [None, 1, 3],
            "colour": ["RED", "VERDE"],
            "word": [None, "", "word"],
            "numbers": [None, [], [1, 2]],
        }
        for name, values in optional.items():
            if dice.random() < 0.5:
                variables[name] = dice.choice(values)
        return variables

    def _selections(self, type_: Any, depth: int) -> str:
        if depth > 3:
            return "{ __typename }"
        return "{ " + " ".join(self._selection(type_, depth) for _ in range(self._dice.randint(1, 5))) + " }"

    def _selection(self, type_: Any, depth: int) -> str:
        dice = self._dice
        names = [type_.name, *(one.name for one in getattr(type_, "interfaces", ()))]
        fragments = [fragment for fragment, name in self._fragments.items() if name in names]
        match dice.random():
            case chance if chance < 0.06:
                return f"... {self._directives()} {self._selections(type_, depth)}"
            case chance if chance < 0.14:
                name = dice.choice(names)
                return f"... on {name} {self._directives()} {self._selections(TYPES[name], depth)}"
            case chance if chance < 0.3 and fragments:
                return f"...{dice.choice(fragments)} {self._directives()}"
            case chance if chance < 0.36:
                return dice.choice(["__typename", "type: __typename"])
        name = dice.choice([name for name in type_.fields if name not in RARE or dice.random() < 0.1] or ["__typename"])
        number, arguments = dice.choice(list(enumerate(ARGUMENTS.get(name, [""]))))
        alias = f"{name}{number}: " if number or dice.random() < 0.1 else ""
        text = f"{alias}{name}{arguments} {self._directives()}"
        below = get_named_type(type_.fields[name].type) if name in type_.fields else None
        if hasattr(below, "types"):
            return text + "{ __typename ... on Card { text maybe } ... on Other { number } }"
        return text + self._selections(below, depth + 1) if hasattr(below, "fields") else text

    def _directives(self) -> str:
        return self._dice.choice(["", "", "", "", *DIRECTIVES])


# ------------------------------------------------------------------------------------------------------------ both ways


@dataclass
class Answer:
    data: Any
    errors: list[str]

    @classmethod
    def of(cls, result: Any) -> "Answer":
        errors = [f"{one.formatted} {one.original_error!r}" for one in result.errors or ()]
        return cls(json.dumps(result.data, default=repr), sorted(errors))


class Asked:
    """A document that has come before, so that it is compiled; and as it came first, to compare with."""

    def __init__(self, text: str, schema: strawberry.Schema = planted) -> None:
        self._schema = schema._schema
        self._parsed = parse(text)
        self.document = kept(text)

    async def plain(self, context: Any, variables: dict[str, Any]) -> Answer:
        return await self._answer(self._parsed, context, variables)

    async def answer(self, context: Any, variables: dict[str, Any]) -> Answer:
        return await self._answer(self.document, context, variables)

    async def _answer(self, document: DocumentNode, context: Any, variables: dict[str, Any]) -> Answer:
        result: Any = graphql_execute(
            self._schema, document, context_value=context, variable_values=variables, executor_class=Executor
        )
        return Answer.of(await result if hasattr(result, "__await__") else result)


def kept(text: str) -> Document:
    documents = Documents()
    documents.keep(text, None, parse(text), {})
    found = documents.find(text, None)
    assert found
    return found


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The fields below a root field that graphql-core itself executed."""
    names: list[str] = []
    execute_field = PlainExecutor.execute_field

    def note(self: Any, parent_type: Any, source: Any, details: Any, path: Any, context: Any) -> Any:
        if path.prev:
            names.append(".".join(str(key) for key in path.as_list()))
        return execute_field(self, parent_type, source, details, path, context)

    monkeypatch.setattr(PlainExecutor, "execute_field", note)
    return names


def test_fuzz(executed: list[str]) -> None:
    rules = [rule for rule in specified_rules if rule not in (NoUnusedFragmentsRule, NoUnusedVariablesRule)]
    tally = Counter[str]()
    number = 0
    while tally["documents"] < DOCUMENTS:
        number += 1
        dice = random.Random(f"{SEED} {number}")
        asking = Asking(dice)
        if validate(planted._schema, parse(asking.text), rules):
            continue
        tally["documents"] += 1
        asked = Asked(asking.text)
        for _ in range(3):
            world, variables = World(dice), asking.variables()
            plain = asyncio.run(asked.plain(world.context, variables))
            by_plain_path = len(executed)
            executed.clear()
            assert asyncio.run(asked.answer(world.context, variables)) == plain, (number, asking.text, variables)
            tally["compiled"] += bool(by_plain_path and not executed)
            tally["in part"] += 0 < len(executed) < by_plain_path
            tally["with errors"] += bool(plain.errors)
            executed.clear()
    assert tally["compiled"] > DOCUMENTS
    assert tally["in part"] > DOCUMENTS / 3
    assert tally["with errors"] > DOCUMENTS / 5


# ----------------------------------------------------------------------------------------------------------- by hand


class Same:
    """Of whom `Item` is made: each value right, and other than in the next test."""

    def __init__(self) -> None:
        self.child = item("child", sparse=[None], card=Card(text="card", maybe=None))
        self.item = item("parent", child=self.child, children=[self.child, item("second")])
        self.context: dict[str, Any] = {"item": self.item, "items": [self.item], "notifications": [told(1), told(2)]}


def item(text: Any, **others: Any) -> Item:
    usual: dict[str, Any] = {
        "text": text, "maybe": None, "number": 3, "ratio": 0.5, "yes": True, "key": strawberry.ID("key"),
        "fickle": None,
        "when": datetime(2026, 2, 3, tzinfo=UTC), "colour": Colour.GREEN, "colours": [Colour.RED, None],
        "json": {"b": 1, "a": [None]}, "grid": [[1, None], []], "child": None, "children": [], "sparse": None,
        "card": None, "named": None, "thing": None, "notification": None,
    }  # fmt: skip
    return Item(**usual | others)


def told(pk: int) -> Notification:
    actor = Profile(user_id=3, display_name="Somebody", avatar="a" * 32)
    data = {"title": "Title", "body": "Body", "url": "/"}
    return Notification(pk=pk, recipient_id=1, sequence=pk, kind="notifications.announcement", data=data, actor=actor)


COMPILED: list[tuple[str, dict[str, Any]]] = [
    ("{ item { text maybe number ratio yes key when colour colours json grid __typename } }", {}),
    ("{ item { colours json grid } items { children { text child { sparse { text } } } } }", {}),
    ("{ a: item { b: text text c: text } d: item { number } }", {}),
    ("{ item { child { text } child { number } ... { child { number yes } text } } item { child { key } } }", {}),
    (
        (
            "{ ...A } fragment A on Query { item { ...B ...B text } } "
            "fragment B on Item { yes child { ...C } text } fragment C on Item { number }"
        ),
        {},
    ),
    ("{ item { ... on Item { number } text ... on Item @skip(if: true) { yes } } }", {}),
    ("{ item { child { card { ... on Named { text type: __typename } maybe } sparse { text } } } }", {}),
    ("{ item { shout twice: shout(times: 2) echo word: echo(word: null) ofParent } }", {}),
    ("query ($c: Colour = VERDE, $t: Int) { item { shout(colour: $c, times: $t) } }", {}),
    ("query ($c: Colour = VERDE, $t: Int) { item { shout(colour: $c, times: $t) } }", {"c": "RED", "t": 4}),
    ("query ($a: Boolean!) { item { text @include(if: $a) number @skip(if: $a) } }", {"a": True}),
    ("query ($a: Boolean!) { item { number ... @include(if: $a) { yes } text @skip(if: $a) } }", {"a": False}),
    ("query ($a: Boolean!) { item @include(if: $a) { text } item { number } }", {"a": False}),
    ("query ($a: String) { item(after: $a) { text } }", {"a": "cursor"}),
    (
        (
            "{ notifications { id __typename kind data createdAt readAt title url "
            "actor { id displayName avatar { url(size: SMALL) } } ... on Node { node: id } } }"
        ),
        {},
    ),
]


@pytest.mark.parametrize(("text", "variables"), COMPILED)
async def test_it_is_compiled(text: str, variables: dict[str, Any], executed: list[str]) -> None:
    context, asked = Same().context, Asked(text)
    plain = await asked.plain(context, variables)
    assert executed
    executed.clear()
    for _ in range(2):
        assert await asked.answer(context, variables) == plain
    assert not plain.errors
    assert not executed


PLAIN = ["named { text }", "thing { __typename }", "selfAndInfo", "late", "surprise", "guarded", "doubled", "broken"]


@pytest.mark.parametrize("field", PLAIN)
async def test_it_goes_the_plain_path(field: str, executed: list[str]) -> None:
    context, asked = Same().context, Asked(f"{{ item {{ text child {{ {field} number }} }} items {{ text }} }}")
    plain = await asked.plain(context, {})
    executed.clear()
    assert await asked.answer(context, {}) == plain
    assert "item.child.number" in executed
    assert "items.0.text" not in executed


ERRORS: list[dict[str, Any]] = [
    {"text": None},
    {"child": item("child", number=None)},
    {"children": [item("first"), None]},
    {"children": None},
    {"sparse": [item("first"), item("second", yes=object())]},
    {"colour": "no colour"},
    {"number": 2**31},
    {"number": 1.5},
    {"when": "no date"},
    {"grid": [[1], None]},
    {"grid": [["one"]]},
    {"fickle": "no longer"},
    {"text": Failure("returned")},
    {"child": Failure("returned")},
    {"children": [Failure("returned")]},
    {"card": Other(number=1)},
    {"notification": NotificationType},
]


@pytest.mark.parametrize("wrong", ERRORS)
async def test_what_is_wrong_is_told_by_the_plain_path(wrong: dict[str, Any]) -> None:
    context = Same().context | {"items": [item("first"), replace(item("wrong"), **wrong), item("last")]}
    asked = Asked("{ item { text } items { text number ratio fickle when colour grid child { number } card { text } "
                  "children { __typename } sparse { yes } notification { id } } }")  # fmt: skip
    plain = await asked.plain(context, {})
    assert plain.errors
    assert await asked.answer(context, {}) == plain


OF_THE_TYPE: Any = NotificationType(
    pk=1,
    sequence=1,
    kind="kind",
    actor=None,
    data=JSON({}),
    created_at=datetime(2026, 1, 1),
    read_at=None,
    archived_at=None,
)
ODD: list[dict[str, Any]] = [
    {"number": True},
    {"number": 1.0},
    {"number": "5"},
    {"text": SafeString("safe")},
    {"text": 5},
    {"yes": 1},
    {"key": 7},
    {"ratio": 3},
    {"colour": "g"},
    {"grid": ((1,), (2,))},
    {"children": (item("in a tuple"),)},
    {"children": {1: item("a mapping is no list")}},
    {"json": datetime(2026, 1, 1)},
    {"text": Undefined},
    {"maybe": Undefined},
    {"child": Undefined},
    {"notification": OF_THE_TYPE},
]


@pytest.mark.parametrize("odd", ODD)
async def test_what_is_of_another_type_is_written_alike(odd: dict[str, Any]) -> None:
    context = Same().context | {"items": [replace(item("odd"), **odd)]}
    asked = Asked("{ items { text maybe number ratio yes key colour grid json children { text } child { text } "
                  "notification { id kind } } }")  # fmt: skip
    assert await asked.answer(context, {}) == await asked.plain(context, {})


@pytest.mark.parametrize("unloaded", ["kind", "actor"])
async def test_what_is_not_loaded_is_an_error_and_no_query(unloaded: str) -> None:
    context = Same().context
    notification = context["notifications"][1]
    if unloaded == "actor":
        del notification._state.fields_cache["actor"]
    else:
        del notification.__dict__[unloaded]
    asked = Asked("{ notifications { id kind actor { id } } }")
    plain = await asked.plain(context, {})
    assert "FieldFetchBlocked" in plain.errors[0]
    assert await asked.answer(context, {}) == plain


async def test_an_extension_that_sees_each_field_sees_each_field(executed: list[str]) -> None:
    seen = []

    class Seeing(SchemaExtension):
        def on_parse(self) -> Iterator[None]:
            self.execution_context.graphql_document = document
            yield

        def resolve(self, _next: Any, root: Any, info: Any, *args: str, **kwargs: Any) -> Any:
            seen.append(info.field_name)
            return _next(root, info, *args, **kwargs)

    text = "{ item { text child { number } } }"
    document = kept(text)
    schema = strawberry.Schema(Query, extensions=[Seeing], execution_context_class=Executor, config=config)
    for _ in range(2):
        seen.clear()
        assert not (await schema.execute(text, context_value=Same().context)).errors
        assert seen == ["item", "text", "child", "number"]


# ------------------------------------------------------------------------------------------------------------ events


async def events(text: str, items: list[Any], *, compiled: bool) -> list[Answer]:
    """As the WebSocket door takes them."""
    document = kept(text) if compiled else parse(text)
    events, answers = Events(), []
    subscribed: Any = subscribe(planted._schema, document, context_value={"items": items}, executor_class=Executor)
    async for result in await subscribed:
        answers.append(Answer.of(result))
        while (data := await events.next_data()) is not None:
            answers.append(Answer.of(ExecutionResult(data)))
    return answers


CHANGED = "subscription { news: changed { text number child { children { text } } } }"


async def test_events_are_compiled(executed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    items = [item("first"), Same().item, None, item("last")]
    plain = await events(CHANGED, items, compiled=False)
    assert [answer.errors for answer in plain] == [[]] * 4
    operations = []
    execute_operation = Executor.execute_operation

    def note(self: Any, *how: Any) -> Any:
        operations.append(self)
        return execute_operation(self, *how)

    monkeypatch.setattr(Executor, "execute_operation", note)
    executed.clear()
    assert await events(CHANGED, items, compiled=True) == plain
    assert not executed
    assert len(operations) == 1  # for the first one; the others are written at once


async def test_an_event_with_an_error_is_followed_by_the_next(executed: list[str]) -> None:
    items = [item("first"), item("wrong", number=None), Failure("yielded"), item(None), item("last")]
    plain = await events(CHANGED, items, compiled=False)
    assert [bool(answer.errors) for answer in plain] == [False, True, True, True, False]
    assert await events(CHANGED, items, compiled=True) == plain


async def test_a_stream_that_fails_fails_alike() -> None:
    streams = [
        events("subscription { failing { text } }", [item("only")], compiled=compiled) for compiled in (False, True)
    ]
    for stream in streams:
        with pytest.raises(Failure):
            await stream


async def test_a_closed_stream_closes_its_source() -> None:
    context: dict[str, Any] = {"items": [item("first"), item("second"), item("third")], "closed": []}
    events = Events()
    subscribed: Any = subscribe(planted._schema, kept(CHANGED), context_value=context, executor_class=Executor)
    stream = await subscribed
    await anext(stream)
    assert await events.next_data()
    assert not context["closed"]
    await stream.aclose()
    assert context["closed"] == [True]


# ---------------------------------------------------------------------------------------------------- what is kept


def test_a_small_document_takes_little_room(executed: list[str]) -> None:
    text = "query ($t: Int) { item { shout(times: $t) number } }"
    asked = Asked(text)
    for times in range(100):
        answer = asyncio.run(asked.answer(Same().context, {"t": times}))
        assert f'"parent!{times}RED"' in answer.data
        assert asked.document.selections.size < len(text)
    assert not executed


def test_it_goes_with_its_document() -> None:
    documents = Documents(max_characters=30)
    texts = ["{ item { text } }", "{ item { number } }"]
    documents.keep(texts[0], None, parse(texts[0]), {})
    document = documents.find(texts[0], None)
    assert document
    selections = weakref.ref(document.selections)
    del document
    gc.collect()
    assert selections() is not None
    documents.keep(texts[1], None, parse(texts[1]), {})
    gc.collect()
    assert selections() is None


# ------------------------------------------------------------------------------------------------------- at the doors

QUERIES = {
    "me": "{ me { id email emailVerified isStaff dateJoined profile { id displayName bio avatar { url } } } }",
    "notifications": "query ($first: Int) { notifications(first: $first) { sequence edges "
    "{ cursor node { id sequence kind title body url data createdAt readAt archivedAt "
    "actor { id displayName avatar { url(size: SMALL) } } } } "
    "pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }",
    "inbox": "{ inbox(after: 0) { sequence unreadCount hasMore notifications { id title actor { displayName } } } }",
    "preferences": "{ notificationPreferences { kind label channel enabled locked } }",
    "emailAddresses": "{ emailAddresses { email verified primary } }",
    "mfa": "{ mfa { totpEnabled recoveryCodesLeft } }",
    "sessions": "{ sessions { id ipAddress userAgent createdAt isCurrent } }",
}


@pytest.mark.parametrize("name", QUERIES)
async def test_it_works(name: str, api: ApiFor, alice: User, bob: User, executed: list[str]) -> None:
    """The site's own queries, at the second time: not one field below the root is executed by graphql-core."""
    for number in range(3):
        await anotify([alice], Announcement(f"Number {number}", url="/"), actor=bob)
    client = await api(alice)
    text = f"query Second {QUERIES[name]}" if QUERIES[name].startswith("{") else QUERIES[name]
    first = await client.data(text)
    assert executed
    executed.clear()
    assert json.dumps(await client.data(text)) == json.dumps(first)
    assert not executed


INBOX_CHANGED = "subscription { inboxChanged { sequence unreadCount hasMore notifications { id title actor { id } } } }"


async def test_the_site_s_own_events(socket: SocketFor, alice: User, bob: User, executed: list[str]) -> None:
    """From the first one of a document that has never come before: it is for many events."""
    client = await socket(alice)
    await client.subscribe(INBOX_CHANGED)
    assert (await client.next())["inboxChanged"]["sequence"] == 0
    for number in (1, 2):
        await anotify([alice], Announcement(f"Number {number}"), actor=bob)
        event = (await client.next())["inboxChanged"]
        assert event["sequence"] == number
        assert event["notifications"][0]["actor"] == {"id": relay.to_base64("Profile", bob.pk)}
    assert not executed
