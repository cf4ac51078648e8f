from collections.abc import AsyncGenerator
from typing import Final

import strawberry
import strawberry_django
from strawberry import relay

from apps.notifications import changes, services
from apps.notifications.delivery import follow
from apps.notifications.types import (
    InboxChangeType,
    InboxResult,
    InboxUpdateType,
    NotificationConnectionType,
    NotificationPreferenceInput,
    NotificationPreferenceResult,
    NotificationPreferenceType,
    NotificationState,
    decode_cursor,
)
from apps.users.types import Info, node_pks, page_size

MAX_IDS: Final = 1_000


@strawberry.type
class Query:
    @strawberry.field(description="Newest first.")
    async def notifications(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        state: NotificationState = NotificationState.CURRENT,
    ) -> NotificationConnectionType:
        user = await info.context.user()
        before = None if after is None else decode_cursor(after, user)
        page = await services.alist_notifications(user, state.narrow, page_size(first), before)
        return NotificationConnectionType.of(page, has_previous_page=after is not None)

    @strawberry.field
    async def unread_count(self, info: Info) -> int:
        return await services.aunread_count(await info.context.user())

    @strawberry.field(
        description="The same answer as one message of the subscription, for clients without a WebSocket."
    )
    async def inbox(self, info: Info, after: int | None = None) -> InboxChangeType:
        user = await info.context.user()
        return InboxChangeType.of(await changes.aread_changes(user.pk, after))

    @strawberry.field
    async def notification_preferences(self, info: Info) -> list[NotificationPreferenceType]:
        preferences = await services.alist_preferences(await info.context.user())
        return [NotificationPreferenceType.of(preference) for preference in preferences]


@strawberry.type
class Mutation:
    @strawberry_django.mutation(
        handle_django_errors=True,
        description="Ids that are unknown or somebody else's are ignored, here and below; at most 1,000 at once.",
    )
    async def mark_notifications_read(self, info: Info, ids: list[relay.GlobalID]) -> InboxResult:
        user = await info.context.user()
        return InboxUpdateType.of(await services.amark_read(user, node_pks(ids, "Notification", MAX_IDS)))

    @strawberry_django.mutation(handle_django_errors=True)
    async def mark_notifications_unread(self, info: Info, ids: list[relay.GlobalID]) -> InboxResult:
        user = await info.context.user()
        return InboxUpdateType.of(await services.amark_unread(user, node_pks(ids, "Notification", MAX_IDS)))

    @strawberry_django.mutation(
        handle_django_errors=True,
        description="Everything that the client has seen up to `upTo`, and nothing that arrived since. Beyond the "
        "inbox's sequence: `BAD_CURSOR`.",
    )
    async def mark_all_notifications_read(self, info: Info, up_to: int) -> InboxResult:
        return InboxUpdateType.of(await services.amark_all_read(await info.context.user(), up_to))

    @strawberry_django.mutation(handle_django_errors=True)
    async def archive_notifications(self, info: Info, ids: list[relay.GlobalID]) -> InboxResult:
        user = await info.context.user()
        return InboxUpdateType.of(await services.aarchive(user, node_pks(ids, "Notification", MAX_IDS)))

    @strawberry_django.mutation(handle_django_errors=True)
    async def set_notification_preference(
        self, info: Info, input: NotificationPreferenceInput
    ) -> NotificationPreferenceResult:
        user = await info.context.user()
        preference = await services.aset_preference(user, input.kind, input.channel, input.enabled)
        return NotificationPreferenceType.of(preference)


@strawberry.type
class Subscription:
    @strawberry.subscription(
        description="The inbox, live. The first message comes at once and answers `after` as the query `inbox` does "
        "(without `after`: the present sequence, no notifications), so a client knows that it is subscribed and what "
        "it missed. From then on each message covers everything after the one before it, up to its own `sequence`: in "
        "order, none lost, none twice on one subscription. A notification that changed more than once in between comes "
        "once, in its latest state."
    )
    async def inbox_changed(self, info: Info, after: int | None = None) -> AsyncGenerator[InboxChangeType]:
        user = await info.context.user()
        async for change in follow(user.pk, after):
            yield InboxChangeType.of(change)
