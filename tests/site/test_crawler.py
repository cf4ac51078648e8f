"""No lazy load can hide: every field of every type is asked for, over both doors, with its relations set and null."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any

import pytest
import strawberry
import strawberry_django
from allauth.account.models import EmailAddress
from asgiref.sync import sync_to_async
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import ForeignKey
from graphql import GraphQLInterfaceType, GraphQLSchema, build_schema
from model_bakery import baker
from strawberry import relay

from apps.notifications.kinds import Announcement
from apps.notifications.models import Notification
from apps.notifications.schema import Subscription
from apps.notifications.services import notify
from apps.notifications.types import NotificationType
from apps.profiles.services import set_avatar
from apps.users.types import Info
from config.graphql import http, limits, websocket
from config.schema import schema
from tests.clients import Api, Socket, session_cookies
from tests.conftest import User, make_user
from tests.pictures import encode, quadrants
from tests.site import crawler

OWN = {"users", "profiles", "notifications", "accounts"}
"""The apps whose rows have rules among them, which `furnish` keeps. Others get rows of whatever fits their fields."""

type Ask = Callable[[str], Awaitable[tuple[Any, list[Any]]]]


@pytest.fixture(autouse=True)
def _without_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MAX_CHARACTERS", "MAX_TOKENS", "MAX_DEPTH", "MAX_COST"):
        monkeypatch.setattr(limits, limit, 1_000_000)


def furnish(alice: User) -> None:
    """Gives Alice something of everything: what may be missing is there once, and missing once."""
    picture = encode(quadrants(64, 64), "PNG")
    for user in (alice, carol := make_user("Carol")):
        set_avatar(user, SimpleUploadedFile("me.png", picture))
    for actor in (None, make_user("Dan"), carol):
        notify([alice], Announcement("Hello"), actor=actor)
    for config in apps.get_app_configs():
        if config.name.startswith("apps.") and config.label not in OWN:
            for model in config.get_models():
                owner = {
                    field.name: alice
                    for field in model._meta.get_fields()
                    if isinstance(field, ForeignKey) and field.related_model is User
                }
                required = {name: user for name, user in owner.items() if not model._meta.get_field(name).null}
                baker.make(model, None, _fill_optional=True, **owner)  # type: ignore[call-overload]
                baker.make(model, None, **required)  # type: ignore[call-overload]


def node_ids(served: GraphQLSchema) -> dict[str, list[str]]:
    """The ids of all rows, by the type that shows them."""
    ids: dict[str, list[str]] = {}
    node = served.type_map.get("Node")
    for name in [one.name for one in served.get_possible_types(node)] if isinstance(node, GraphQLInterfaceType) else []:
        type_: Any = schema.get_type_by_name(name).origin  # type: ignore[union-attr]
        keys = type_.__strawberry_django_definition__.model.objects.values_list("pk", flat=True)
        ids[name] = [relay.to_base64(name, key) for key in keys]
    return ids


class Crawl:
    def __init__(self, served: GraphQLSchema, documents: Iterable[str]) -> None:
        self.schema = served
        self.documents = list(documents)
        self.faults: list[str] = []
        self.seen: set[crawler.Place] = set()
        self.unseen: set[crawler.Place] = set()

    async def over(self, ask: Ask) -> "Crawl":
        for document in self.documents:
            data, errors = await ask(document)
            # A mutation may refuse what the crawler made up. Nothing else has a reason to.
            expected = {"BAD_USER_INPUT", "BAD_CURSOR"} if document.startswith("mutation") else set()
            if {error["extensions"]["code"] for error in errors} - expected:
                self.faults.append(f"{errors} to {document}")
            for place, is_there in crawler.seen(data):
                (self.seen if is_there else self.unseen).add(place)
        return self

    def complete(self) -> None:
        """Raises `AssertionError` unless all has been seen that a query or a subscription leads to, and has worked."""
        assert not self.faults
        places = crawler.places(self.schema, self.schema.query_type, self.schema.subscription_type)
        assert places - self.seen - self.unseen == set(), "nothing was there to ask for these"
        relations = {place for place in places if crawler.may_be_null(self.schema, place)}
        assert relations
        assert relations - self.seen == set(), "these were always null"
        assert relations - self.unseen == set(), "these were never null"


async def crawl(alice: User) -> tuple[Crawl, Crawl]:
    """Over HTTP, and over a WebSocket."""
    await sync_to_async(furnish)(alice)
    served = build_schema(http.schema.as_str())
    cookies = await sync_to_async(session_cookies)(alice)

    async def over_http(document: str) -> tuple[Any, list[Any]]:
        # One may end the session, so each has its own.
        own = await sync_to_async(session_cookies)(alice) if document.startswith("mutation") else cookies
        async with Api(own) as client:
            answer = await client.ask(document)
        return answer.data, answer.errors

    async with Api(cookies) as client:
        await client.ask("{ __typename }")  # from then on the session is one that is shown
    ids = await sync_to_async(node_ids)(served)
    documents = list(crawler.operations(served, ids))
    queries = [document for document in documents if not document.startswith("subscription")]
    async with Socket(cookies) as socket:

        async def over_websocket(document: str) -> tuple[Any, list[Any]]:
            operation = await socket.subscribe(document)
            while (message := await socket.receive_json_from())["type"] == "ping":
                await socket.send_json_to({"type": "pong"})
            if message["type"] == "error":
                return None, message["payload"]
            if document.startswith("subscription"):
                await socket.send_json_to({"id": operation, "type": "complete"})
            else:
                assert await socket.receive_json_from() == {"id": operation, "type": "complete"}
            return message["payload"]["data"], message["payload"].get("errors", [])

        live = await Crawl(served, documents).over(over_websocket)
    return await Crawl(served, queries).over(over_http), live


async def test_it_works(alice: User) -> None:
    for way in await crawl(alice):
        way.complete()
        assert {place for place, _ in way.seen | way.unseen} >= {"User", "Profile", "Avatar", "Notification", "Session"}


@strawberry.type
class Forgotten:
    """As a beginner writes it: nothing says that a notification's actor has to be loaded with it."""

    @strawberry.field
    async def notifications(self, info: Info) -> list[NotificationType]:
        user = await info.context.user()
        return [one async for one in Notification.objects.filter(recipient=user)]  # type: ignore[misc]


@strawberry_django.type(EmailAddress, name="Address")
class AddressType:
    email: str

    @strawberry.field
    def owner(self, root: strawberry.Parent[EmailAddress]) -> str:
        return root.user.email


@strawberry.type
class Foreign:
    """A model of somebody else's, which Django loads as it always does."""

    @strawberry.field
    async def addresses(self, info: Info) -> list[AddressType]:
        user = await info.context.user()
        return [one async for one in EmailAddress.objects.filter(user=user)]


@pytest.mark.parametrize(
    ("query", "place", "cause"),
    [(Forgotten, "actor", "FieldFetchBlocked"), (Foreign, "owner", "SynchronousOnlyOperation")],
)
async def test_it_finds_what_is_loaded_on_touch(
    query: type, place: str, cause: str, alice: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    planted = strawberry.Schema(query, subscription=Subscription)
    monkeypatch.setattr(http, "schema", planted)
    monkeypatch.setattr(websocket, "schema", planted)
    for way in await crawl(alice):
        assert way.faults
        assert all("INTERNAL_ERROR" in fault and place in fault for fault in way.faults)
        with pytest.raises(AssertionError):
            way.complete()
    assert cause in caplog.text


async def test_it_finds_the_fault_of_a_subscription(
    alice: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The one that this project was born from: a subscription whose event loads the avatar of a profile."""

    @strawberry.type
    class Live:
        @strawberry.subscription
        async def notified(self, info: Info) -> AsyncGenerator[NotificationType]:
            user = await info.context.user()
            async for one in Notification.objects.filter(recipient=user, actor__isnull=False):
                yield one  # type: ignore[misc]

    planted = strawberry.Schema(Forgotten, subscription=Live)
    monkeypatch.setattr(http, "schema", planted)
    monkeypatch.setattr(websocket, "schema", planted)
    _, live = await crawl(alice)
    assert any(fault.endswith("}") and "subscription" in fault and "actor" in fault for fault in live.faults)
    assert "FieldFetchBlocked" in caplog.text
