"""What the channel layer carries: complete, each his own, and shared where it is alike."""

from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.notifications.changes import InboxChange, pack, pack_alike, unpack
from apps.notifications.delivery import group_name
from apps.notifications.kinds import Announcement
from apps.notifications.layers import RedisPubSubChannelLayer
from apps.notifications.models import Notification
from apps.notifications.services import anotify
from apps.notifications.writing import Entry
from apps.profiles.services import profile_of
from tests.conftest import SocketFor, User

SHOWN = ["id", "recipient_id", "sequence", "kind", "data", "actor_id", "created_at", "read_at", "archived_at"]


def carried(packed: dict[str, Any]) -> InboxChange:
    """As it comes out of Redis."""
    layer = RedisPubSubChannelLayer()
    return unpack(layer.deserialize(layer.serialize(packed)))


def shown(change: InboxChange) -> list[Any]:
    return [{name: one.__dict__[name] for name in SHOWN} | {"actor": one.actor} for one in change.notifications or ()]


def test_it_works(alice: User, bob: User, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    kept = [
        Notification(
            pk=number,
            recipient=alice,
            sequence=number,
            kind="notifications.announcement",
            data={"title": "\0 \ud800 é", "numbers": [2**70, 1.5, None, {"a": []}]},
            actor=profile_of(actor) if actor else None,
            read_at=at,
            archived_at=at,
        )
        for number, (actor, at) in enumerate([(bob, None), (None, timezone.now())], start=3)
    ]
    change = InboxChange(alice.pk, after=2, sequence=4, unread_count=1, notifications=kept)
    with django_assert_num_queries(0):
        came = carried(pack(change))
        assert came == change
        assert shown(came) == shown(change)
        assert str((came.notifications or [])[0].actor) == "Bob"


def test_too_many_to_carry() -> None:
    change = InboxChange(1, after=2, sequence=1_000, unread_count=998, notifications=None)
    assert carried(pack(change)) == change


def test_what_is_alike_is_kept_once_and_each_has_his_own(alice: User, bob: User) -> None:
    alike = Notification(kind="notifications.announcement", data={"title": "all"}, actor=profile_of(bob))
    entries = [Entry(10, alice.pk, sequence=5, unread=2), Entry(11, bob.pk, sequence=9, unread=1)]
    changes = [carried(packed) for packed in pack_alike(alike, entries)]
    for entry, change in zip(entries, changes, strict=True):
        assert (change.user_id, change.after, change.sequence) == (entry.user_id, entry.sequence - 1, entry.sequence)
        assert change.unread_count == entry.unread
        [one] = change.notifications or []
        assert (one.pk, one.recipient_id, one.sequence) == (entry.id, entry.user_id, entry.sequence)
    first, second = ((change.notifications or [])[0] for change in changes)
    assert first.actor is second.actor
    assert first.content == second.content == Announcement("all").content()


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"notifications": []},
        {"user_id": 1, "after": 0, "sequence": 1, "unread_count": 1, "notifications": [{"id": 1, "kind": "a"}]},
        {"user_id": 1, "after": 0, "sequence": 1, "unread_count": 1, "notifications": [[1, 1, "{}"]]},
        {"user_id": 1, "after": 0, "sequence": 1, "unread_count": 1, "notifications": [[1, 1, "no JSON"]]},
        {"user_id": 1, "after": 0, "sequence": 1, "unread_count": 1, "notifications": 1},
    ],
)
async def test_of_another_version(
    wrong: dict[str, Any], socket: SocketFor, alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        unpack(wrong)
    client = await socket(alice)
    await client.subscribe("subscription { inboxChanged { sequence } }")
    await client.next()
    await get_channel_layer().group_send(group_name(alice.pk), {"type": "inbox.changed", **wrong})
    await anotify([alice], Announcement("Here still"))
    assert await client.next() == {"inboxChanged": {"sequence": 1}}
    assert caplog.text.count("Could not read a message") == 1
