"""How mail leaves: in the background, so that nobody waits for a mail server, or learns from having waited."""

from collections.abc import Sequence

from django.core.mail import EmailMessage, mailers
from django.core.mail.backends.base import BaseEmailBackend

from apps.background import in_background

DELIVERY = "delivery"
"""The mailer that really sends."""


class BackgroundBackend(BaseEmailBackend):
    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        messages = list(email_messages)
        in_background(lambda: mailers[DELIVERY].send_messages(messages))
        return len(messages)
