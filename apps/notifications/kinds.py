"""What can be notified of. A kind is a frozen dataclass in its app's `notifications.py`; its fields are the payload.

@dataclass(frozen=True)
class CommentAdded(NotificationKind):
    label = _("Comments on your posts")
    post_id: int
    excerpt: str

    def content(self) -> Content:
        return Content(_("New comment"), self.excerpt, f"/posts/{self.post_id}/")
"""

import dataclasses
import logging
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, NamedTuple, Self

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

logger = logging.getLogger(__name__)


class Channel(StrEnum):
    """A way that a notification can reach a person."""

    IN_APP = "in_app"
    EMAIL = "email"


class Content(NamedTuple):
    """What a person reads. `url`, where a click leads, is a path on this site or empty."""

    title: str
    body: str = ""
    url: str = ""


class NotificationKind:
    code: ClassVar[str]
    """`app.name`, kept with each notification: it must stay when the class is renamed. By default its name."""
    label: ClassVar[str | Promise]
    """For people: what this kind is about."""
    channels: ClassVar[tuple[Channel, ...]] = (Channel.IN_APP,)
    locked: ClassVar[frozenset[Channel]] = frozenset()
    """The channels on which nobody can switch it off."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "code" not in cls.__dict__:
            app = cls.__module__.split(".")[-2]
            cls.code = f"{app}.{re.sub(r'(?<!^)(?=[A-Z])', '_', cls.__name__).lower()}"
        if (other := _kinds.setdefault(cls.code, cls)) is not cls and other.__qualname__ != cls.__qualname__:
            raise TypeError(f"{cls.__qualname__} and {other.__qualname__} are both the kind {cls.code!r}")
        _kinds[cls.code] = cls

    def content(self) -> Content:
        """Made anew at each reading, in the reader's language. Must not ask the database."""
        raise TypeError(f"{type(self).__qualname__} says nothing: it needs a method `content`")

    def payload(self) -> dict[str, Any]:
        """The fields, as they are kept: anything that JSON can hold."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Self:
        """Payloads outlive code: fields that are no longer known are passed over."""
        known = _fields_of(cls)  # type: ignore[arg-type]
        if not payload.keys() <= known:
            payload = {name: value for name, value in payload.items() if name in known}
        return cls(**payload)


@cache
def _fields_of(kind: Any) -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(kind))


_kinds: dict[str, type[NotificationKind]] = {}


def all_kinds() -> list[type[NotificationKind]]:
    """In order of their codes."""
    return [_kinds[code] for code in sorted(_kinds)]


def get_kind(code: str) -> type[NotificationKind] | None:
    return _kinds.get(code)


def content_of(code: str, payload: Mapping[str, Any]) -> Content:
    """What a stored notification says. One whose kind is gone, or no longer fits, still shows; the log tells why."""
    kind = _kinds.get(code)
    try:
        if kind is not None:
            return kind.from_payload(payload).content()
        logger.warning("No installed app declares the notification kind %r", code)
    except Exception:
        logger.exception("A stored notification does not fit its kind %r", code)
    return Content(title=str(_("Notification")))


@dataclasses.dataclass(frozen=True)
class Announcement(NotificationKind):
    """Free text, from whoever runs the site."""

    label = _("Announcements")

    title: str
    body: str = ""
    url: str = ""

    def __post_init__(self) -> None:
        if self.url and not is_local_path(self.url):
            raise ValueError(f"An announcement leads to a path on this site, not to {self.url!r}")

    def content(self) -> Content:
        return Content(self.title, self.body, self.url)


def is_local_path(url: str) -> bool:
    """Whether a browser that follows `url` stays on this site: it reads `//host` and `/\\host` as another one."""
    return url.startswith("/") and not url.startswith(("//", "/\\")) and url.isprintable() and "\\" not in url
