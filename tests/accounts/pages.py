"""Using the pages as a browser does: open one, fill in its form, follow the mailed link."""

import re

import httpx
from django.conf import settings
from django.core import mail

from tests.clients import Api

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


async def submit(client: Api, path: str, **fields: str) -> httpx.Response:
    """Opens the page, wherever it leads, and sends the filled-in form there."""
    page = await client.get(path, follow_redirects=True)
    assert page.status_code == 200, page.status_code
    token = TOKEN.search(page.text)
    assert token, page.text
    return await client.post(page.url, data={"csrfmiddlewaretoken": token[1], **fields})


def mailed_link(path: str) -> str:
    """The link that begins with this path, in the one mail that was sent."""
    [message] = mail.outbox
    [link] = re.findall(r"\S+://\S+", str(message.body))
    assert re.fullmatch(rf"{re.escape(settings.SITE_URL)}{path}[^/\s]+/", link), link
    return str(link)
