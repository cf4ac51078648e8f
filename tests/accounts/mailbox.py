"""The keys in the mails that were sent, as their readers would take them from the links."""

import re

from django.conf import settings
from django.core import mail

VERIFY = "/accounts/confirm-email/"
RESET = "/accounts/password/reset/key/"


def mailed_key(path: str, recipient: str | None = None) -> str:
    """The key in the newest link that begins with this path."""
    link = re.compile(rf"{re.escape(settings.SITE_URL + path)}([^/\s]+)/")
    for message in reversed(mail.outbox):
        if (recipient is None or message.to == [recipient]) and (found := link.search(str(message.body))):
            return found[1]
    raise AssertionError(f"No mail with a link to {path}")


def subjects(recipient: str) -> list[str]:
    return [str(message.subject) for message in mail.outbox if message.to == [recipient]]
