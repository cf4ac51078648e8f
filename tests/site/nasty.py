"""What a client can send: operations that the exported schema allows, with nasty values, and what is made of them by
someone who breaks rules. They are drawn without knowing the site: `%own0%` and its like stand for what is there when it
is sent, so that one seed means the same operations on every database.
"""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import graphql
from graphql import FieldNode, NameNode, OperationType, ValueNode
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from hypothesis_graphql import nodes, queries

from tests.conftest import PASSWORD
from tests.pictures import HEIC, encode, quadrants

SDL = (Path(__file__).parents[2] / "schema.graphql").read_text()
SCHEMA = graphql.build_schema(SDL)
KINDS = {
    kind: root.fields
    for kind in (OperationType.QUERY, OperationType.MUTATION, OperationType.SUBSCRIPTION)
    if (root := SCHEMA.get_root_type(kind))
}
ROOTS = [(kind, name) for kind, fields in KINDS.items() for name in fields]


@dataclass(frozen=True)
class File:
    name: str
    content: bytes = field(repr=False)
    kind: str = "image/jpeg"


@dataclass(frozen=True)
class Operation:
    """`body` is what is sent as JSON. `files` go with it, each for the places in `map`. All of it can be broken."""

    body: Any
    roots: Mapping[str, str] = field(default_factory=dict)
    """The root fields, by the names under which their answers come."""
    is_subscription: bool = False
    is_visitor: bool = False
    is_mutated: bool = False
    files: Mapping[str, File] = field(default_factory=dict)
    map: Any = None
    raw: bytes | None = None
    """Sent as it is, in the place of `body`."""
    content_type: str = "application/json"
    messages: list[Any] = field(default_factory=list)
    """What is sent over a WebSocket in the place of `subscribe` with `body`."""


# ------------------------------------------------------------------------------------------------------------- values

LONE = "\ud800"
TEXTS = [
    "", " ", "\0", "a\0b", LONE, f"a{LONE}b", "\udfff\ud800", "\u202e\ufeff", "😀" * 300, "ﷺ" * 300, "x" * 5_000,
    "x" * 100_000,
    "a@b", "@", "é@ü.example", "a@b.example\r\nBcc: c@d.example", f"{'x' * 300}@b.example", "a\0@b.example",
    "'\"`;--", "{{ 7*7 }}", "%s %n {0}", "../../etc/passwd", "<script>", "-", "-1", "1e400", "NaN", "null", "٣",
    "1_000",
    "9" * 5_000, "\\ud800", "\\", "\x1b[0m", "\u2028",
]  # fmt: skip
SENSIBLE = {
    "email": ["%email%", "%email%", "%other%", "%spare%", "somebody%number%@example.com"],
    "password": [PASSWORD],
    "currentPassword": [PASSWORD],
    "newPassword": [PASSWORD, "staple battery horse correct"],
    "key": ["%verify%", "%reset%", "%reset%%", "%email%", "0-0", "a-b-c"],
    "code": ["%code%", "%code%", "000000", "%recovery%"],
    "kind": ["notifications.announcement", "accounts.welcome", "accounts.new_sign_in", "users.nothing"],
    "after": ["%cursor0%", "%cursor3%", "%othercursor%"],
    "ids": ["%own0%", "%own1%", "%own2%"],
    "id": ["%own0%", "%profile%", "%session0%", "%session0%", "%session1%"],
}
"""What makes sense for the argument or input field of that name: without it, hardly anything would get far."""
MOSTLY = {"email", "password", "currentPassword", "newPassword", "ids"}
"""Of several of them each must make sense."""
what_makes_sense = {name: st.sampled_from(values) for name, values in SENSIBLE.items()}


def global_id(name: str, key: str | bytes) -> str:
    raw = key if isinstance(key, bytes) else key.encode("utf-8", "surrogatepass")
    return b64encode(name.encode() + b":" + raw).decode()


NO_KEYS: list[str | bytes] = [
    "",
    "0",
    "-1",
    "1e3",
    "1.0",
    " 1",
    "1_0",
    "٣",
    "²",
    "\0",
    LONE,
    b"\xff\xfe",
    "x" * 2_000,
    str(2**63),
    "9" * 5_000,
]
IDS = [
    "%own0%", "%own1%", "%own4%", "%foreign0%", "%foreign1%", "%profile%", "%otherprofile%", "%user%", "%otheruser%",
    "%session0%", "%session1%", "%own0%=", "%own0% ", "x%own0%", "%cursor0%",
    *(global_id(name, key) for name in ("Notification", "Session") for key in NO_KEYS),
    *(global_id(name, "9" * 5_000) for name in ("Profile", "User", "Node")),
    *(global_id(name, "1") for name in ("Node", "Query", "Mutation", "PageInfo", "String", "Upload", "ProfileResult",
      "AvatarSize", "EmailInput", "__Schema", "Nothing", "", "notification", "Notification:1", "JSON", "Avatar")),
    b64encode(b"Notification").decode(), b64encode(b"\xff:1").decode(), "Notification:1", "====", "é", "a", "1", "-1",
]  # fmt: skip
CURSORS = [
    "%cursor0%", "%cursor4%", "%othercursor%", "%own0%",
    *(f"%cursorof {key}%" for key in ("", "0", "-1", "-9223372036854775809", "9223372036854775808", "1e3", "x")),
    "%cursorof 9999999999999999999999%", *(global_id("inbox1", key) for key in NO_KEYS), global_id("inbox", "1"),
]  # fmt: skip
INTS = [-(2**31), -1, 0, 1, 2, 3, 5, 20, 100, 101, 2**31 - 1]
WRONG: list[Callable[[], Any]] = [
    lambda: None, lambda: True, lambda: False, lambda: 0, lambda: -1, lambda: 1.5, lambda: 1e308, lambda: float("inf"),
    lambda: float("nan"), lambda: 2**31, lambda: 2**63, lambda: 2**64, lambda: -(2**63) - 1, lambda: 10**400,
    lambda: "", lambda: "\0", lambda: LONE, lambda: "%own0%", lambda: "x" * 100_000, list, dict,
    lambda: [[]], lambda: [None], lambda: [[[[["%own0%"]]]]], lambda: deep(50), lambda: deep(900), lambda: deep(20_000),
    lambda: ["%own0%"] * 1_001, lambda: ["x"] * 20_000, lambda: {"": None}, lambda: {"__proto__": {}, "a\0": LONE},
    lambda: {"email": {"email": []}}, lambda: {str(number): number for number in range(2_000)},
    lambda: {"filename": "me.jpg"}, lambda: "data:image/png,AAAA", lambda: Raw("9" * 5_000),
    lambda: Raw("1e999999"),
]  # fmt: skip
"""For a variable: anything that JSON can say, and some of what it can't."""


class Raw(str):
    """JSON as it is."""

    __slots__ = ()


def deep(levels: int) -> Raw:
    return Raw("[" * levels + "]" * levels)


def dumps(value: Any) -> str:
    """As `json.dumps`, with `Raw`."""
    raws: list[str] = []

    def hide(part: Any) -> Any:
        match part:
            case Raw():
                raws.append(str.__str__(part))
                return f"%raw {len(raws) - 1}%"
            case dict():
                return {name: hide(one) for name, one in part.items()}
            case list():
                return [hide(one) for one in part]
        return part

    return re.sub(r'"%raw (\d+)%"', lambda found: raws[int(found[1])], json.dumps(hide(value)))


a_text = st.sampled_from(TEXTS) | st.text(max_size=20)
SCALARS = {
    "String": a_text.map(nodes.String),
    "ID": st.sampled_from([*map(nodes.String, IDS), nodes.Int(1), nodes.Int(-1)]),
    "Int": st.sampled_from([nodes.Int(number) for number in INTS]),
    # No value of these stands in a document that is valid; the first is put into a variable, for a file.
    "Upload": st.just(nodes.String("%upload%")),
    "DateTime": st.datetimes().map(lambda at: nodes.String(at.isoformat())),
    "JSON": st.sampled_from([nodes.Null, nodes.Int(1), nodes.Object([]), nodes.List([])]),
}


# --------------------------------------------------------------------------------------------------- what is allowed


def first_field(document: graphql.DocumentNode) -> FieldNode:
    [definition] = document.definitions
    assert isinstance(definition, graphql.OperationDefinitionNode)
    [one] = definition.selection_set.selections
    assert isinstance(one, FieldNode)
    return one


def root_field(kind: OperationType, name: str) -> SearchStrategy[FieldNode]:
    """That field with arguments and selections: hypothesis-graphql's, for which every kind is made a query."""
    root = SCHEMA.get_root_type(kind)
    assert root is not None
    as_query = graphql.GraphQLSchema(query=root, types=SCHEMA.type_map.values())
    return queries(as_query, fields=[name], custom_scalars=SCALARS, print_ast=first_field)


FIELDS = {(kind, name): root_field(kind, name) for kind, name in ROOTS}
A_PICTURE = encode(quadrants(48, 40), "PNG")
PICTURES = [A_PICTURE, HEIC, *(encode(quadrants(40, 48), kind) for kind in ("JPEG", "WEBP", "GIF"))]
NAMES = ["me.jpg", "", ".", "../../x", "a\0.jpg", "x" * 300 + ".jpg", "é😀.png", 'a"; b="', "a\r\nb", f"a{LONE}"]


@st.composite
def some_files(draw: DrawFn) -> File:
    content = draw(st.sampled_from([*PICTURES, b"", b"\0", b"no picture", A_PICTURE[:40], HEIC[:300], A_PICTURE * 2]))
    if content and draw(st.booleans()):
        at = draw(st.integers(0, min(len(content), 200) - 1))
        content = content[:at] + draw(st.binary(max_size=8)) + content[at + draw(st.integers(0, 8)) :]
    kind = draw(st.sampled_from(["image/jpeg", "image/jpeg", "", "text/html", "multipart/mixed", "application/json"]))
    return File(draw(st.sampled_from(NAMES)).replace(LONE, "\ufffd"), content, kind)


mostly = st.sampled_from([True, True, True, False])
sometimes = st.booleans()
rarely = st.sampled_from([False, False, False, True])
hardly_ever = st.sampled_from([*[False] * 19, True])


def sensible(draw: DrawFn, name: str, value: ValueNode) -> ValueNode:
    """The value, with what makes sense in the place of most of what does not."""
    match value:
        case graphql.ObjectValueNode(fields=fields):
            return nodes.Object(
                [
                    graphql.ObjectFieldNode(name=one.name, value=sensible(draw, one.name.value, one.value))
                    for one in fields
                ]
            )
        case graphql.ListValueNode(values=values):
            return nodes.List([sensible(draw, name, one) for one in values])
        case graphql.StringValueNode() if name in SENSIBLE and draw(mostly if name in MOSTLY else sometimes):
            return nodes.String(draw(what_makes_sense[name]))
    return value


def uploads_in(value: Any, path: str) -> list[str]:
    """The places of files in the value of a variable."""
    match value:
        case "%upload%":
            return [path]
        case dict():
            return [found for name, one in value.items() for found in uploads_in(one, f"{path}.{name}")]
    return []


@st.composite
def allowed(draw: DrawFn, roots: list[tuple[OperationType, str]], is_visitor: SearchStrategy[bool]) -> Operation:
    """What hypothesis-graphql makes of one to three root fields; its values as literals or as variables."""
    kind, name = draw(st.sampled_from(roots))
    names = [name]
    if kind is not OperationType.SUBSCRIPTION and draw(rarely):
        names += draw(st.lists(st.sampled_from([one for other, one in roots if other is kind]), max_size=2))
    are_variables = draw(st.booleans())
    fields: list[FieldNode] = []
    definitions: list[str] = []
    variables: dict[str, Any] = {}
    answers: dict[str, str] = {}
    for name in names:
        drawn = draw(FIELDS[kind, name])
        answer = name if name not in answers else f"{name}{len(answers)}"
        answers[answer] = name
        arguments = []
        for argument in drawn.arguments or ():
            value = sensible(draw, argument.name.value, argument.value)
            plain = graphql.value_from_ast_untyped(value)
            if are_variables or uploads_in(plain, ""):
                variable = f"v{len(variables)}"
                variables[variable] = plain
                definitions.append(f"${variable}: {KINDS[kind][name].args[argument.name.value].type}")
                value = graphql.VariableNode(name=NameNode(value=variable))
            arguments.append(graphql.ArgumentNode(name=argument.name, value=value))
        alias = NameNode(value=answer) if answer != name else None
        fields.append(
            FieldNode(alias=alias, name=drawn.name, arguments=tuple(arguments), selection_set=drawn.selection_set)
        )
    selections = graphql.print_ast(graphql.SelectionSetNode(selections=tuple(fields)))
    header = f"{kind.value} ({', '.join(definitions)})" if definitions else kind.value
    paths = [path for variable, value in variables.items() for path in uploads_in(value, f"variables.{variable}")]
    is_file = draw(mostly)
    if not is_file:  # but something else in its place
        paths = []
    files = {f"file{number}": draw(some_files()) for number, _ in enumerate(paths)}
    return Operation(
        body={"query": f"{header} {selections}", "variables": variables},
        roots=answers,
        is_subscription=kind is OperationType.SUBSCRIPTION,
        is_visitor=draw(is_visitor),
        files=files,
        map={name: [path] for name, path in zip(files, paths, strict=True)},
    )


# ---------------------------------------------------------------------------------------------------- what is not

TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[\w$@]+|\.\.\.|[^\s\w]')
JUNK = [
    "{", "}", "(", ")", "[", "]", "!", ":", "=", "...", "$", "@", "&", "|", '"', '"""', "#", "\\", "\0", LONE,
    "\ufeff", "😀",
    "null", "true", "-", "1e999999", "9" * 5_000, '"\\ud800"', '"\\u{110000}"', "__typename",
    "__schema { types { name } }",
    "fragment", "on", "query", "subscription", "mutation", "type X { a: Int }", "@skip(if: true)", "@include(if: $v0)",
    "@defer", "... @skip(if: null) { __typename }", "...F", "$v0", "$nothing", "[" * 300, "{ a" * 300, "(a: [" * 300,
    "x" * 20_000, "a: __typename " * 300,
]  # fmt: skip
CRAFTED = [
    "", " ", "#", "\ufeff{ me { id } }", "{", "{}", "query", "{ me { id } ",
    "query A { __typename } query B { __typename }",
    "fragment F on Query { ...F } { ...F }", "fragment F on Query { ...G } fragment G on Query { ...F } { ...F }",
    "fragment F on Query { __typename }", "type X { a: Int }", "extend type Query { a: Int } { me { id } }",
    "{ ...F } fragment F on User { id }", "{ ... on Mutation { logOut { __typename } } }",
    "{ __typename @skip(if: true) }",
    "{ __typename @skip(if: true) @skip(if: true) }", "{ me @defer { id } }", "{ ... @defer { me { id } } }",
    "query ($a: Int = 99999999999) { inbox(after: $a) { sequence } }", "query ($a: [[[ID!]!]!]!) { __typename }",
    "query ($a: User) { __typename }", "query ($a: Nothing = {}) { __typename }",
    "query ($a: Int, $a: Int) { __typename }",
    "mutation ($a: ID!) { markNotificationsRead(ids: $a) { __typename } }",
    "mutation { setAvatar(input: { image: null }) { __typename } }",
    'mutation { setAvatar(input: { image: "x" }) { __typename } }',
    "mutation { setAvatar(input: { image: { a: [1] } }) { __typename } }",
    "mutation { setAvatar(input: {}) { __typename } }",
    "mutation { logOut }", "subscription { inboxChanged { sequence } a: inboxChanged { sequence } }",
    "subscription { __typename }", "subscription { inboxChanged(after: 5.0) { sequence } }",
    "subscription { ... @include(if: false) { inboxChanged { sequence } } }",
    "subscription { inboxChanged { sequence } }",
    "subscription ($a: Boolean!) { inboxChanged @skip(if: $a) { sequence } }",
    "{ __schema { types { fields { type { ofType { ofType { name } } } } } } }",
    '{ __type(name: "User\\u0000") { name } }',
    '{ node(id: "%own0%") { ... on Node { ... on Node { ... on Notification { data { a } } } } } }',
    "{ " + "me { profile { " * 2_000, "{ me " * 5_000, "{ a(b: " + "[" * 5_000, "{ a(b: " + "{ c: " * 5_000,
    "(" * 20_000,
    "query ($a: " + "[" * 5_000 + "Int" + "]" * 5_000 + ") { __typename }", "{ " + "a: __typename " * 5_000 + "}",
    "{ " + " ".join(f"a{number}: me {{ id }}" for number in range(1_000)) + " }", "#" * 200_000,
    "mutation { " + " ".join(f"a{number}: removeAvatar {{ __typename }}" for number in range(200)) + " }",
    "{ " + "...F " * 200 + "} " + "fragment F on Query { me { id } }", "{ me { id } } " * 50,
    "{ me @skip(if: false) { id } }",
    "".join(f"fragment F{one} on Query {{ ...F{one + 1} ...F{one + 1} }} " for one in range(40))
    + "fragment F40 on Query { __typename } { ...F0 }",
    "{ me { id } }" + " @a" * 300, "{ me " + "@include(if: true) " * 300 + "{ id } }",
]  # fmt: skip
PART = b"--x\r\nContent-Disposition: form-data; "
BODIES: list[bytes] = [
    b"", b" ", b"null", b"1", b'"x"', b"[]", b"{}", b"{", b"[[]]", b"[null]", b"\xff\xfe", b"\0", b"\xef\xbb\xbf{}",
    b"[" * 100_000, b'{"a":' * 100_000, b'{"query":', b'{"query": NaN}', b'{"query": ' + b"9" * 5_000 + b"}",
    b'[{"query": "{ me { id } }"}]', b'[{"query": "{ me { id } }"}, 1]', b"9" * 5_000, b"query={me{id}}",
    b'{"query": "{ me { id } }", "query": 1}', '{"query": "{ me { id } }"}'.encode("utf-16"), b"--x\r\n\r\n--x--",
    b'{"variables": {}}', b'{"id": "persisted"}', b'{"extensions": {"persistedQuery": {"version": 1}}}',
    PART + b"name=operations\r\n\r\n{}\r\n--x--\r\n",
    PART + b'name="operations"\r\n\r\n[]\r\n' + PART + b'name="map"\r\n\r\n[]\r\n--x--\r\n',
    PART + b'name="a"; filename="b"\r\nContent-Transfer-Encoding: base64\r\n\r\n!\r\n--x--\r\n',
    b"--x\r\n" * 3_000,
]  # fmt: skip
CONTENT_TYPES = [
    *["application/json"] * 8, "multipart/form-data; boundary=x", "multipart/form-data; boundary=x",
    "multipart/form-data",
    "multipart/form-data; boundary=\x80", "text/plain", "application/graphql", "application/x-www-form-urlencoded", "",
    "application/json; charset=utf-16", "application/json; charset=nothing", "application/graphql-response+json", "/",
    "x" * 500,
]  # fmt: skip
MAPS: list[Any] = [
    None, 1, "x", [], {}, {"file0": None}, {"file0": 1}, {"file0": []}, {"file0": "variables.v0"}, {"file0": [1]},
    {"file0": [[]]},
    {"file0": [""]}, {"file0": ["."]}, {"file0": ["variables"]}, {"file0": ["query"]}, {"file0": ["operationName"]},
    {"file0": ["variables.v0"]}, {"file0": ["variables.v0.a.b.c"]}, {"file0": ["variables.0"]},
    {"file0": ["variables.v9.x"]},
    {"file0": ["0.variables.v0"]}, {"file0": ["variables.v0.image", "variables.v0.image"]},
    {"nothing": ["variables.v0"]},
    {"operations": ["variables"]}, {"file0": [f"variables.{LONE}"]}, {"file0": ["query.x"]}, {"file0": ["extensions"]},
    Raw("[" * 50_000), Raw("9" * 5_000), Raw(""), Raw("NaN"),
]  # fmt: skip
NO_NAMES: list[Any] = [None, 1, [], {}, "", LONE, True]
NAMED = {"query": "query A { __typename } query B { me { id } }", "operationName": "B"}
ENVELOPES: list[Any] = [
    [], [NAMED], [NAMED, NAMED], "x", 1, None, {}, {"query": None}, {"query": 5}, {"query": []}, {"query": {}},
    *({**NAMED, "operationName": some} for some in [*NO_NAMES, "C", "\0"]),
    *({**NAMED, "variables": some} for some in [*NO_NAMES, "{}", [1], 1.5, {"": 1}, {LONE: LONE}]),
    *({**NAMED, "extensions": some} for some in [*NO_NAMES, {"persistedQuery": 1}, {"a": deep(900)}]),
    {**NAMED, "documentId": 1}, {**NAMED, "id": {}}, {**NAMED, "unknown": deep(20_000)},
]  # fmt: skip


def broken(document: str, draw: DrawFn) -> str:
    """The document with tokens deleted, doubled, swapped or thrown in, and brackets dropped."""
    tokens: list[str] = TOKEN.findall(document)
    for _ in range(draw(st.sampled_from([1, 1, 2, 5]))):
        at = draw(st.integers(0, len(tokens)))
        other = draw(st.integers(0, len(tokens)))
        match draw(st.sampled_from(["delete", "double", "swap", "insert", "insert", "bracket"])):
            case "delete":
                del tokens[at : at + 1]
            case "double":
                tokens[at:at] = tokens[at : at + 3]
            case "swap":
                tokens[at:at] = tokens[other : other + 1]
            case "insert":
                tokens.insert(at, draw(st.sampled_from(JUNK)))
            case "bracket" if brackets := [number for number, token in enumerate(tokens) if token in "{}()[]"]:
                del tokens[brackets[at % len(brackets)]]
    return " ".join(tokens)


def twisted(value: Any, draw: DrawFn) -> Any:
    """The value with one of its parts replaced by something else."""
    if isinstance(value, dict) and value and draw(mostly):
        name = draw(st.sampled_from(sorted(value)))
        match draw(st.sampled_from(["inside", "inside", "inside", "delete", "rename"])):
            case "inside":
                return value | {name: twisted(value[name], draw)}
            case "delete":
                return {other: one for other, one in value.items() if other != name}
            case "rename":
                return {other if other != name else name.upper(): one for other, one in value.items()}
    if isinstance(value, list) and value and draw(mostly):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], twisted(value[at], draw), *value[at + 1 :]]
    return draw(st.sampled_from(WRONG))()


MESSAGES: list[Any] = [
    None, 1, "x", [], {}, [{"type": "ping"}], {"type": None}, {"type": []}, {"type": {}}, {"type": "x" * 5_000},
    {"type": LONE},
    {"type": "next"}, {"type": "connection_ack"}, {"type": "start", "id": "1"}, {"type": "connection_init"},
    {"type": "connection_init", "payload": []}, {"type": "ping", "payload": 1}, {"type": "pong"},
    {"type": "pong", "payload": deep(900)},
    *({"type": "subscribe", "id": some} for some in NO_NAMES),
    *({"type": "complete", "id": some} for some in NO_NAMES),
    {"type": "complete"}, {"type": "complete", "id": "nothing"}, {"type": "subscribe"}, Raw("["), Raw("NaN"),
    Raw("9" * 5_000),
    Raw("[" * 100_000), Raw('{"type":' * 50_000), Raw("\0"), Raw("é"), b"\0", b'{"type": "ping"}', b"\xff",
    *({"type": "subscribe", "id": some, "payload": NAMED} for some in [*NO_NAMES, "x" * 100_000]),
    *({"type": "subscribe", "id": "x", "payload": some} for some in [*NO_NAMES, [NAMED], {"query": None}]),
]  # fmt: skip
LIVE = {"query": "subscription { inboxChanged { sequence } }"}
SEQUENCES: list[list[Any]] = [
    *([{"type": "subscribe", "id": some, "payload": LIVE}] * 2 for some in ("x", LONE, "é" * 200, "x" * 5_000)),
    *([{"type": "subscribe", "id": "x", "payload": LIVE}, {"type": "complete", "id": "x"}] * n for n in (1, 2, 30)),
    [{"type": "subscribe", "id": str(number), "payload": LIVE} for number in range(30)],
]  # fmt: skip
some_messages = st.sampled_from([[message] for message in MESSAGES] + SEQUENCES)


def _deep(body: Any, draw: DrawFn) -> Any:
    return body | {"variables": twisted(body["variables"], draw)}


@st.composite
def forbidden(draw: DrawFn, allowed: SearchStrategy[Operation], ways: list[str]) -> Operation:
    """An operation that is broken in one way or another."""
    operation = replace(draw(allowed), is_mutated=True)
    body = operation.body
    match draw(st.sampled_from(ways)):
        case "document":
            return replace(operation, body=body | {"query": broken(body["query"], draw)})
        case "variables":
            return replace(operation, body=_deep(body, draw))
        case "both":
            return replace(operation, body=_deep(body, draw) | {"query": broken(body["query"], draw)})
        case "crafted":
            return replace(
                operation, body={"query": draw(st.sampled_from(CRAFTED)), "variables": body["variables"]}, roots={}
            )
        case "envelope":
            return replace(operation, body=draw(st.sampled_from(ENVELOPES)), roots={}, files={})
        case "raw":
            content_type = draw(st.sampled_from(CONTENT_TYPES))
            raw = draw(st.sampled_from([*BODIES, dumps(body).encode()]))
            return replace(operation, raw=raw, content_type=content_type, roots={}, files={})
        case "map":
            return replace(operation, map=draw(st.sampled_from(MAPS)), files={"file0": File("me.jpg", A_PICTURE)})
        case "message":
            return replace(operation, messages=draw(some_messages), roots={})
    raise AssertionError


DOCUMENTS = ["document", "document", "document", "variables", "variables", "variables", "both", "crafted"]
over_http = [root for root in ROOTS if root[0] is not OperationType.SUBSCRIPTION]
over_websocket = [*ROOTS, *[root for root in ROOTS if root[0] is OperationType.SUBSCRIPTION] * 9]
STORY = 25
"""Operations, one after the other."""


def stories(operations: SearchStrategy[Operation]) -> SearchStrategy[list[Operation]]:
    # The empty one is for Hypothesis, which always begins with the simplest.
    return st.just([]) | st.lists(operations, min_size=STORY, max_size=STORY)


allowed_over_http = allowed(over_http, is_visitor=rarely)
allowed_over_websocket = allowed(over_websocket, is_visitor=hardly_ever)
http_stories = stories(allowed_over_http | forbidden(allowed_over_http, [*DOCUMENTS, "envelope", "raw", "map"]))
websocket_stories = stories(
    allowed_over_websocket | forbidden(allowed_over_websocket, [*DOCUMENTS, "envelope", "message", "message"])
)
