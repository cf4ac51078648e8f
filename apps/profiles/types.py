from enum import Enum
from typing import Annotated

import strawberry
import strawberry_django
from strawberry import relay
from strawberry.file_uploads import Upload
from strawberry_django.fields.types import OperationInfo

from apps.profiles import models, services
from apps.users.types import Info, node_pk


@strawberry.enum(description="64, 128, 256 and 512 pixels a side.")
class AvatarSize(Enum):
    SMALL = 64
    MEDIUM = 128
    LARGE = 256
    FULL = 512


@strawberry.type(name="Avatar")
class AvatarType:
    profile: strawberry.Private[models.Profile]

    @strawberry.field(
        description="A square image of at least `size` pixels, if the uploaded one was that large: a path on this "
        "site, or an absolute URL where the storage is elsewhere. The URL changes when the picture does."
    )
    def url(self, size: AvatarSize = AvatarSize.MEDIUM) -> str:
        return self.profile.avatar_url(size.value)


@strawberry_django.type(models.Profile, name="Profile", description="What others may see of a person.")
class ProfileType(relay.Node):
    pk: relay.NodeID[int]
    bio: str

    @strawberry.field
    def display_name(self, root: strawberry.Parent[models.Profile]) -> str:
        return str(root)

    @strawberry.field(description="Null until one is set; a client then draws initials.")
    def avatar(self, root: strawberry.Parent[models.Profile]) -> AvatarType | None:
        return AvatarType(profile=root) if root.avatar else None

    @classmethod
    async def resolve_node(  # type: ignore[override]
        cls, node_id: str, *, info: Info, required: bool = False
    ) -> models.Profile | None:
        pk = node_pk(node_id)
        return None if pk is None else await services.avisible_profile(pk)


ProfileResult = Annotated[ProfileType | OperationInfo, strawberry.union("ProfileResult")]


@strawberry.input
class UpdateProfileInput:
    display_name: str | None = None
    bio: str | None = None


@strawberry.input
class SetAvatarInput:
    image: Upload
