from typing import Any

from apps.profiles.images import SIZES
from apps.profiles.services import profile_of
from apps.users.models import User


def export(user: User) -> dict[str, Any]:
    profile = profile_of(user)
    return {
        "display_name": profile.display_name,
        "bio": profile.bio,
        "avatar": profile.avatar_url(max(SIZES)) if profile.avatar else None,
    }
