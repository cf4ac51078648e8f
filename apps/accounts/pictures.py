"""The picture that people have where they sign in from is their avatar here, until they choose another, or none."""

import logging

from allauth.socialaccount.models import SocialAccount
from asgiref.sync import async_to_sync
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile

from apps import outgoing
from apps.background import in_background
from apps.profiles.services import MAX_UPLOAD, lacks_avatar, set_first_avatar
from apps.users.models import User

logger = logging.getLogger(__name__)

SECONDS = 5
"""For the provider's answer."""


def take_picture(user: User, account: SocialAccount) -> None:
    """In the background, from wherever the provider says, which may be anything. If that fails, the sign-in does not:
    the next one asks again.
    """
    url = account.get_avatar_url()
    if isinstance(url, str) and url and lacks_avatar(user):
        in_background(lambda: _take(user, account.provider, url))


def _take(user: User, provider: str, url: str) -> None:
    try:
        picture = async_to_sync(outgoing.get)(url, seconds=SECONDS, max_bytes=MAX_UPLOAD)
        set_first_avatar(user, ContentFile(picture.content))
    except (outgoing.CallFailed, ValidationError) as error:
        logger.warning("No picture from %s for user %s: %s", provider, user.pk, error)
