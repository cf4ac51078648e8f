from datetime import datetime
from enum import Enum
from typing import Annotated, Self

import strawberry
import strawberry_django
from strawberry import relay
from strawberry.scalars import JSON
from strawberry_django.fields.types import OperationInfo

from apps.notifications import models, services
from apps.notifications.changes import BadCursor, InboxChange
from apps.notifications.kinds import Channel
from apps.profiles.types import ProfileType
from apps.users.models import User
from apps.users.types import Info, node_pk


@strawberry_django.type(models.Notification, name="Notification")
class NotificationType(relay.Node):
    pk: relay.NodeID[int]
    sequence: int = strawberry.field(
        description="The inbox's sequence number at this notification's latest change (created, read, unread, "
        "archived)."
    )
    kind: str = strawberry.field(
        description="Stable code of its kind, `app.name`: `accounts.new_sign_in`, `notifications.announcement`, …"
    )
    actor: ProfileType | None = strawberry.field(
        description="Who caused it; null for the system itself or a deleted account."
    )
    data: JSON = strawberry.field(description="The kind's own payload.")
    created_at: datetime
    read_at: datetime | None
    archived_at: datetime | None

    @strawberry.field
    def title(self, root: strawberry.Parent[models.Notification]) -> str:
        return root.content.title

    @strawberry.field
    def body(self, root: strawberry.Parent[models.Notification]) -> str:
        return root.content.body

    @strawberry.field(description="Where a click leads: a path on this site, or null.")
    def url(self, root: strawberry.Parent[models.Notification]) -> str | None:
        return root.content.url or None

    @classmethod
    async def resolve_node(  # type: ignore[override]
        cls, node_id: str, *, info: Info, required: bool = False
    ) -> models.Notification | None:
        pk = node_pk(node_id)
        return None if pk is None else await services.aget_notification(await info.context.user(), pk)


@strawberry.type(name="NotificationEdge", description="An edge in a connection.")
class NotificationEdgeType:
    notification: strawberry.Private[models.Notification]

    @strawberry.field(description="A cursor for use in pagination")
    def cursor(self) -> str:
        return encode_cursor(self.notification)

    @strawberry.field(description="The item at the end of the edge")
    def node(self) -> NotificationType:
        return self.notification  # type: ignore[return-value]  # the type's fields are the model's


@strawberry.type(name="NotificationConnection")
class NotificationConnectionType:
    sequence: int = strawberry.field(
        description="The inbox's sequence, read before this page was: subscribe from it and nothing written in between "
        "is missed."
    )
    edges: list[NotificationEdgeType]
    page_info: relay.PageInfo

    @classmethod
    def of(cls, page: services.NotificationPage, has_previous_page: bool) -> Self:
        edges = [NotificationEdgeType(notification=one) for one in page.notifications]
        return cls(
            sequence=page.sequence,
            edges=edges,
            page_info=relay.PageInfo(
                has_next_page=page.has_next,
                has_previous_page=has_previous_page,
                start_cursor=encode_cursor(edges[0].notification) if edges else None,
                end_cursor=encode_cursor(edges[-1].notification) if edges else None,
            ),
        )


def encode_cursor(notification: models.Notification) -> str:
    return relay.to_base64(f"inbox{notification.recipient_id}", notification.pk)


def decode_cursor(cursor: str, user: User) -> int:
    """The id of the notification that the cursor stands after. Raises `BadCursor`, also for somebody else's cursor."""
    try:
        inbox, key = relay.from_base64(cursor)
    except ValueError as error:
        raise BadCursor from error
    pk = node_pk(key)
    if pk is None or inbox != f"inbox{user.pk}":
        raise BadCursor
    return pk


@strawberry.enum(name="NotificationState")
class NotificationState(Enum):
    UNREAD = strawberry.enum_value("unread", description="Neither read nor archived.")
    CURRENT = strawberry.enum_value("current", description="Not archived.")
    ARCHIVED = "archived"
    ALL = "all"

    @property
    def narrow(self) -> services.Narrow:
        match self:
            case NotificationState.UNREAD:
                return models.NotificationQuerySet.unread
            case NotificationState.CURRENT:
                return models.NotificationQuerySet.current
            case NotificationState.ARCHIVED:
                return models.NotificationQuerySet.archived
            case NotificationState.ALL:
                return models.NotificationQuerySet.all


@strawberry.type(
    name="InboxChange",
    description="The state of the signed-in user's inbox, and what changed in it since the sequence number that the "
    "client last saw.\n\n"
    "Each inbox has a sequence number that grows by at least one with every committed change, and every notification "
    "carries the number of its latest change. A client keeps the highest `sequence` it has received, upserts "
    "`notifications` by id, and asks for what came after.",
)
class InboxChangeType:
    sequence: int = strawberry.field(
        description="Everything up to this number is now known to the client. Pass it as `after` to go on from here."
    )
    unread_count: int = strawberry.field(description="At `sequence`, or later.")
    notifications: list[NotificationType] = strawberry.field(
        description="In order of `sequence`, each in its present state; empty when there is nothing new."
    )
    has_more: bool = strawberry.field(
        description="True when more changes wait behind these (a page is full): ask again with this `sequence`."
    )

    @classmethod
    def of(cls, change: InboxChange) -> Self:
        return cls(
            sequence=change.sequence,
            unread_count=change.unread_count,
            notifications=change.notifications,  # type: ignore[arg-type]  # the type's fields are the model's
            has_more=change.has_more,
        )


@strawberry.type(
    name="InboxUpdate",
    description="What a mutation did to the inbox. It carries no `sequence`: only `inbox` and `inboxChanged` move a "
    "client's cursor.",
)
class InboxUpdateType:
    unread_count: int
    notifications: list[NotificationType] = strawberry.field(
        description="Those that it changed, in their present state; at most 100 of them."
    )

    @classmethod
    def of(cls, update: services.InboxUpdate) -> Self:
        return cls(
            unread_count=update.unread_count,
            notifications=update.notifications,  # type: ignore[arg-type]
        )


strawberry.enum(Channel, name="NotificationChannel")


@strawberry.type(name="NotificationPreference")
class NotificationPreferenceType:
    kind: str
    label: str = strawberry.field(description="For people: what this kind is about.")
    channel: Channel
    enabled: bool
    locked: bool = strawberry.field(
        description="True for kinds that can't be switched off on this channel (security alerts)."
    )

    @classmethod
    def of(cls, preference: services.Preference) -> Self:
        return cls(
            kind=preference.kind,
            label=str(preference.label),
            channel=preference.channel,
            enabled=preference.enabled,
            locked=preference.locked,
        )


InboxResult = Annotated[InboxUpdateType | OperationInfo, strawberry.union("InboxResult")]
NotificationPreferenceResult = Annotated[
    NotificationPreferenceType | OperationInfo, strawberry.union("NotificationPreferenceResult")
]


@strawberry.input
class NotificationPreferenceInput:
    kind: str
    channel: Channel
    enabled: bool
