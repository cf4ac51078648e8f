from django.core.files.storage import FileSystemStorage, storages
from django.core.validators import MaxLengthValidator, ProhibitNullCharactersValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.models import Model
from apps.profiles.images import SIZES
from apps.users.models import User


class Profile(Model):
    """How someone looks to others. It holds all that showing an avatar needs: no second table is asked."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="profile")
    display_name = models.CharField(
        _("display name"), max_length=80, blank=True, validators=[ProhibitNullCharactersValidator()]
    )
    bio = models.TextField(
        _("about"), max_length=500, blank=True, validators=[MaxLengthValidator(500), ProhibitNullCharactersValidator()]
    )
    avatar = models.CharField(
        max_length=32, blank=True, editable=False, help_text=_("The random name of the picture's files; empty: none.")
    )
    avatar_removed = models.BooleanField(
        default=False, editable=False, help_text=_("The user took the picture away, and is not given another.")
    )

    class Meta:
        verbose_name = _("profile")
        verbose_name_plural = _("profiles")

    def __str__(self) -> str:
        return self.display_name or str(_("Someone"))

    @property
    def initials(self) -> str:
        """One or two letters to draw where no picture is set."""
        words = str(self).split()
        return "".join(word[0] for word in [words[0], *words[1:][-1:]]).upper()

    def avatar_url(self, size: int) -> str:
        """The address of the picture at `size` pixels a side (one of `SIZES`). Asks nothing of the storage."""
        name = avatar_file(self.avatar, size)
        storage = storages["default"]
        if type(storage) is FileSystemStorage:  # spares what it does for names that have to be quoted
            return f"{storage.base_url}{name}"
        return storage.url(name)


AVATARS = "avatars"
"""The folder, in the default storage, with a folder for each picture."""


def avatar_file(avatar: str, size: int) -> str:
    """The name, in the default storage, of one of a picture's files."""
    return f"{AVATARS}/{avatar}/{size}.webp"


def avatar_files(avatar: str) -> list[str]:
    return [avatar_file(avatar, size) for size in SIZES]
