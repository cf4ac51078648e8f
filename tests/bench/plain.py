"""The set-up that the documentation of strawberry-graphql-django and Channels leads to, on this site's own rows.

All of it is in this file, and it is a good one of its kind: no query for each row, Redis pub/sub as the layer.
"""

import os
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any, cast

import django
import environ
from django.conf import settings

if not settings.configured:
    settings.configure(
        SECRET_KEY=os.environ["SECRET_KEY"],
        ALLOWED_HOSTS=["127.0.0.1"],
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "channels",
            "strawberry_django",
            "apps.users",
            "apps.profiles",
            "apps.notifications",
        ],
        DATABASES={"default": environ.Env().db_url("DATABASE_URL")},
        CHANNEL_LAYERS={
            "default": {
                "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
                "CONFIG": {"hosts": [os.environ["REDIS_URL"]]},
            }
        },
        AUTH_USER_MODEL="users.User",
        AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.ModelBackend"],
        MEDIA_URL="/media/",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()

import strawberry
import strawberry_django
from strawberry_django.auth.utils import get_current_user
from strawberry_django.optimizer import DjangoOptimizerExtension
from strawberry_django.routers import AuthGraphQLProtocolTypeRouter

from apps.notifications import models
from apps.profiles.models import Profile as ProfileModel
from apps.users.models import User


@strawberry_django.type(ProfileModel)
class Profile:
    display_name: strawberry.auto

    @strawberry_django.field(only=["avatar"])
    def avatar_url(self, root: strawberry.Parent[ProfileModel]) -> str:
        return root.avatar_url(128)


@strawberry_django.type(models.Notification)
class Notification:
    id: strawberry.auto
    created_at: strawberry.auto
    read_at: strawberry.auto
    actor: Profile | None

    @strawberry_django.field(only=["data"])
    def title(self, root: strawberry.Parent[models.Notification]) -> str:
        return root.data["title"]


@strawberry_django.type(User)
class Me:
    email: strawberry.auto
    profile: Profile


def key_of(info: strawberry.Info) -> int:
    return cast(User, get_current_user(info)).pk


@strawberry.type
class Query:
    @strawberry_django.field
    def me(self, info: strawberry.Info) -> Me:
        return User.objects.filter(pk=key_of(info))

    @strawberry_django.field
    def notifications(self, info: strawberry.Info, first: int = 20) -> list[Notification]:
        own = models.Notification.objects.filter(recipient=key_of(info), archived_at=None)
        return own.order_by("-pk")[:first]  # type: ignore[return-value]

    @strawberry_django.field
    def unread_count(self, info: strawberry.Info) -> int:
        return models.Notification.objects.filter(recipient=key_of(info), read_at=None).count()


@strawberry.type
class Actor:
    display_name: str
    avatar_url: str


@strawberry.type
class AddedNotification:
    id: strawberry.ID
    title: str
    created_at: datetime
    read_at: datetime | None
    actor: Actor


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def notification_added(self, info: strawberry.Info) -> AsyncGenerator[AddedNotification]:
        socket: Any = info.context["ws"]
        groups = [f"user_{socket.scope['user'].pk}", "all"]
        async with socket.listen_to_channel("notification.added", groups=groups) as messages:
            async for message in messages:
                event = message["event"]
                yield AddedNotification(
                    id=event["id"],
                    title=event["title"],
                    created_at=datetime.fromisoformat(event["createdAt"]),
                    read_at=None,
                    actor=Actor(display_name=event["actor"]["displayName"], avatar_url=event["actor"]["avatarUrl"]),
                )


schema = strawberry.Schema(query=Query, subscription=Subscription, extensions=[DjangoOptimizerExtension])
application = AuthGraphQLProtocolTypeRouter(schema)
