import logging
import secrets
from collections.abc import Mapping

from channels.db import database_sync_to_async
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils.translation import gettext as _

from apps.profiles.images import MAX_PIXELS, InvalidImage, TooManyPixels, squares
from apps.profiles.models import Profile, avatar_file, avatar_files
from apps.users.models import User

logger = logging.getLogger(__name__)

MAX_UPLOAD = 5 * 1024 * 1024
"""Bytes."""


def profile_of(user: User) -> Profile:
    """The user's profile, made now if the user came into being without one (by a fixture or raw SQL, say)."""
    profile, _created = Profile.objects.get_or_create(user=user)
    return profile


def ensure_profiles(user_ids: list[int]) -> None:
    """Gives a profile to those who lack one."""
    have = set(Profile.objects.filter(pk__in=user_ids).values_list("pk", flat=True))
    missing = [Profile(user_id=pk) for pk in user_ids if pk not in have]
    if missing:
        Profile.objects.bulk_create(missing, ignore_conflicts=True)


def visible_profile(profile_id: int) -> Profile | None:
    """Any signed-in user may see anybody's profile."""
    return Profile.objects.filter(pk=profile_id).first()


@transaction.atomic
def update_profile(user: User, *, display_name: str | None = None, bio: str | None = None) -> Profile:
    """Changes what is given; None leaves a value as it is. Raises `ValidationError`."""
    profile = _locked_profile(user)
    changes = {"display_name": display_name, "bio": bio}
    for field, text in changes.items():
        if text is not None:
            setattr(profile, field, text.strip())
    profile.full_clean(exclude={"user"})
    profile.save(update_fields=["display_name", "bio"])
    return profile


def set_avatar(user: User, upload: File) -> Profile:
    """Makes the uploaded picture the user's avatar; the files of the one before it go once this is committed.

    Raises `ValidationError` with code `too_large` or `invalid_image`.
    """
    if upload.size > MAX_UPLOAD:
        raise ValidationError({"image": ValidationError(_("A picture may have at most 5 MB."), code="too_large")})
    try:
        pictures = squares(upload.open())
    except TooManyPixels as error:
        message = _("A picture may have at most %(limit)d megapixels.") % {"limit": MAX_PIXELS // 1_000_000}
        raise ValidationError({"image": ValidationError(message, code="too_large")}) from error
    except InvalidImage as error:
        message = _("This file is no picture that can be read here. Try a JPEG, PNG, WebP or GIF.")
        raise ValidationError({"image": ValidationError(message, code="invalid_image")}) from error
    avatar = store_avatar(pictures)
    try:
        return _replace_avatar(user, avatar)
    except BaseException:
        delete_avatar_files(avatar)
        raise


def store_avatar(pictures: Mapping[int, bytes]) -> str:
    """Writes a picture's files, by size; returns the name that they share, for `Profile.avatar`."""
    avatar = secrets.token_hex(16)  # unguessable, and new with each picture: its address never shows another
    try:
        for size, content in pictures.items():
            default_storage.save(avatar_file(avatar, size), ContentFile(content))
    except BaseException:
        delete_avatar_files(avatar)
        raise
    return avatar


def remove_avatar(user: User) -> Profile:
    return _replace_avatar(user, "")


@transaction.atomic
def _replace_avatar(user: User, avatar: str) -> Profile:
    profile = _locked_profile(user)
    previous, profile.avatar = profile.avatar, avatar
    profile.save(update_fields=["avatar"])
    if previous:
        transaction.on_commit(lambda: delete_avatar_files(previous))
    return profile


def _locked_profile(user: User) -> Profile:
    profile_of(user)
    return Profile.objects.select_for_update(no_key=True).get(pk=user.pk)


def delete_avatar_files(avatar: str) -> None:
    """Called after the commit that made them unused. A failure leaves an orphan, which is logged, and nothing worse."""
    for name in avatar_files(avatar):
        try:
            default_storage.delete(name)
        except Exception:
            logger.exception("Could not delete %s", name)


avisible_profile = database_sync_to_async(visible_profile)
aupdate_profile = database_sync_to_async(update_profile)
aset_avatar = database_sync_to_async(set_avatar)
aremove_avatar = database_sync_to_async(remove_avatar)
