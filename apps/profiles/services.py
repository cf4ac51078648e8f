import logging
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import batched

from channels.db import database_sync_to_async
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.profiles import decoding
from apps.profiles.images import MAX_PIXELS, MAX_SIDE, MIN_SIDE, ImageTooLarge, ImageTooSmall, InvalidImage
from apps.profiles.models import AVATARS, Profile, avatar_file, avatar_files
from apps.users.models import User

logger = logging.getLogger(__name__)

MAX_UPLOAD = 5 * 1024 * 1024
"""Bytes."""
UPLOAD_TIME = timedelta(hours=1)
"""Longer than any upload takes from its first file to its commit."""


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

    Raises `ValidationError` with code `too_large`, `invalid_image`, or `busy` where too many are waiting.
    """
    pictures = _squares(upload)
    avatar = store_avatar(pictures)
    try:
        return _replace_avatar(user, avatar)
    except BaseException:
        delete_avatar_files(avatar)
        raise


def lacks_avatar(user: User) -> bool:
    """Whether the user has no avatar, and has not taken one away either."""
    return _without_avatar(user).exists()


def set_first_avatar(user: User, upload: File) -> bool:
    """As `set_avatar`, for a picture that the user did not choose here: where there is one by now, or one was taken
    away, nothing changes. Returns whether it is the avatar.
    """
    avatar = store_avatar(_squares(upload))
    is_set = False
    try:
        is_set = bool(_without_avatar(user).update(avatar=avatar))
    finally:
        if not is_set:
            delete_avatar_files(avatar)
    return is_set


def _without_avatar(user: User) -> QuerySet[Profile]:
    return Profile.objects.filter(pk=user.pk, avatar="", avatar_removed=False)


def _squares(upload: File) -> dict[int, bytes]:
    def refusal(message: str, code: str) -> ValidationError:
        return ValidationError({"image": ValidationError(message, code=code)})

    if upload.size > MAX_UPLOAD:
        raise refusal(_("A picture may have at most 5 MB."), "too_large")
    try:
        return decoding.squares(upload.open().read())
    except ImageTooLarge as error:
        message = _("A picture may have at most %(megapixels)d megapixels, and %(side)d pixels a side.")
        limits = {"megapixels": MAX_PIXELS // 1_000_000, "side": MAX_SIDE}
        raise refusal(message % limits, "too_large") from error
    except ImageTooSmall as error:
        message = _("A picture has to have at least %(side)d pixels a side.") % {"side": MIN_SIDE}
        raise refusal(message, "invalid_image") from error
    except InvalidImage as error:
        message = _("This file is no picture that can be read here. Try a JPEG, PNG, WebP, GIF, AVIF or HEIC.")
        raise refusal(message, "invalid_image") from error
    except decoding.Busy as error:
        raise refusal(_("Many pictures are being uploaded just now. Try again in a minute."), "busy") from error


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
    previous, profile.avatar, profile.avatar_removed = profile.avatar, avatar, not avatar
    profile.save(update_fields=["avatar", "avatar_removed"])
    if previous:
        transaction.on_commit(lambda: delete_avatar_files(previous))
    return profile


def _locked_profile(user: User) -> Profile:
    profile_of(user)
    return Profile.objects.select_for_update(no_key=True).get(pk=user.pk)


def delete_avatar_files(avatar: str) -> None:
    """Called after the commit that made them unused. A failure leaves an orphan, which is logged, and nothing worse."""
    for name in [*avatar_files(avatar), f"{AVATARS}/{avatar}"]:
        try:
            default_storage.delete(name)
        except Exception:
            logger.exception("Could not delete %s", name)


def orphaned_avatars() -> Iterator[str]:
    """Pictures whose files are kept, and which nobody has: of an upload that was broken off before its commit, say.

    Only those that are older than `UPLOAD_TIME`; a younger one may be about to be committed.
    """
    before = timezone.now() - UPLOAD_TIME
    try:
        avatars, _files = default_storage.listdir(AVATARS)
    except FileNotFoundError:  # nobody has had a picture yet
        return
    for batch in batched(avatars, 1_000):
        old = [avatar for avatar in batch if _last_written(avatar) < before]
        used = set(Profile.objects.filter(avatar__in=old).values_list("avatar", flat=True))
        yield from (avatar for avatar in old if avatar not in used)


def _last_written(avatar: str) -> datetime:
    folder = f"{AVATARS}/{avatar}"
    times = [default_storage.get_modified_time(f"{folder}/{name}") for name in default_storage.listdir(folder)[1]]
    return max(times, default=datetime.min.replace(tzinfo=UTC))


avisible_profile = database_sync_to_async(visible_profile)
aupdate_profile = database_sync_to_async(update_profile)
aset_avatar = database_sync_to_async(set_avatar)
aremove_avatar = database_sync_to_async(remove_avatar)
