"""The mails of an account: all that allauth can send, in this site's own words, as text and as HTML."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.sax.saxutils import unescape

import allauth
import pytest
from allauth.account.adapter import get_adapter
from allauth.core.context import request_context
from django.conf import settings
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.template.loader import get_template
from django.test import RequestFactory

from apps.accounts.services import create_verified_addresses
from apps.profiles.services import update_profile
from apps.users.models import User

ALLAUTH = Path(allauth.__file__).parent / "templates"
EVIL = "evil.example"
NASTY = "<b>&\"'"
USER_AGENT = f"{NASTY} http://{EVIL}/ "
EMAIL = '"<i>"@example.com'
LINK = re.compile(r"\w+://\S*|\bwww\.\S*")
PREFIXES = sorted(
    str(file.relative_to(ALLAUTH)).removesuffix("_subject.txt") for file in ALLAUTH.rglob("*_subject.txt")
)
every_mail = pytest.mark.parametrize("prefix", PREFIXES)


def is_notification(prefix: str) -> bool:
    """Of what has happened to an account: allauth gives it the time, the address and the software."""
    return "base_notification" in (ALLAUTH / f"{prefix}_message.txt").read_text()


def own_links(prefix: str) -> set[str]:
    """The names of those that it is given."""
    words = (ALLAUTH / f"{prefix.removesuffix('_signup')}_message.txt").read_text()
    return set(re.findall(r"{{ (\w+_url) }}", words))


@pytest.fixture
def user(db: None) -> User:
    user = User.objects.create_user("alice@example.com")
    update_profile(user, display_name=NASTY)
    create_verified_addresses([user])
    return user


def sent(prefix: str, user: User, **more: Any) -> tuple[str, str, str]:
    """Subject, text and HTML of that mail, with all that any of them is given, and that at its worst."""
    request = RequestFactory(REMOTE_ADDR="192.0.2.7").get("/", headers={"User-Agent": USER_AGENT, "Host": EVIL})
    request.user = user
    addresses = dict.fromkeys(["deleted_email", "from_email", "to_email"], EMAIL)
    context = {"user": user, "key": "key", "uid": "uid", "provider": NASTY, **addresses, **more}
    # Links as allauth would build them from a forged request.
    context |= {name: f"http://{EVIL}/accounts/{name}/?next=<b>" for name in own_links(prefix)}
    with request_context(request):
        if is_notification(prefix):
            get_adapter().send_notification_mail(prefix, user, context, email=EMAIL)
        else:
            get_adapter().send_mail(prefix, EMAIL, context)
    [message] = mail.outbox
    assert isinstance(message, EmailMultiAlternatives)
    [(content, content_type)] = message.alternatives
    assert content_type == "text/html"
    return str(message.subject), str(message.body), str(content)


class Reader(HTMLParser):
    """What is in an HTML mail."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "title"}:
            self.text += data


@every_mail
def test_it_works(prefix: str, user: User) -> None:
    subject, text, html = sent(prefix, user)
    assert re.fullmatch(r"[A-Z].{5,60}", subject)
    read = Reader(html)
    assert read.open == []
    assert text.strip()
    assert " ".join(subject.split()) in " ".join(read.text.split())
    for paragraph in text.split("-- \n")[0].split("\n\n"):  # which say the same
        for words in filter(None, paragraph.rstrip(":").split(":\n")):
            assert " ".join(words.split()) in " ".join(read.text.split())
    assert settings.SITE_URL.partition("://")[2] in text


def test_there_are_mails() -> None:
    assert len(PREFIXES) >= 20


@every_mail
def test_it_is_ours(prefix: str) -> None:
    """A mail that a new version of allauth brings along needs words, and a layout."""
    for part in ("subject.txt", "message.txt", "message.html"):
        assert Path(get_template(f"{prefix}_{part}").template.origin.name).is_relative_to(settings.BASE_DIR)  # type: ignore[attr-defined]


@every_mail
def test_links_lead_here(prefix: str, user: User) -> None:
    subject, text, html = sent(prefix, user)
    assert EVIL not in subject
    read = Reader(html)
    links = [value for name, value in read.attributes if name == "href"]
    assert links
    links += LINK.findall(text) + LINK.findall(read.text)
    assert [link for link in links if not link.startswith(f"{settings.SITE_URL}/")] == []
    [link] = LINK.findall(text)
    assert ("href", link) in read.attributes
    for name in own_links(prefix):
        assert link == f"{settings.SITE_URL}/accounts/{name}/?next=<b>", "the one that it is about"


@every_mail
def test_a_code_takes_the_link_s_place(prefix: str, user: User) -> None:
    _, text, html = sent(prefix, user, code="AB12-CD34")
    if not is_notification(prefix):
        assert "AB12-CD34" in text
        assert "AB12-CD34" in Reader(html).text
        assert not LINK.search(text)


@every_mail
def test_what_people_typed_stays_text(prefix: str, user: User) -> None:
    subject, text, html = sent(prefix, user)
    read = Reader(html)
    assert not read.tags & {"b", "i"}
    assert "&lt;" not in read.text, "escaped twice"
    assert unescape(text) == text, "plain text is not escaped"
    assert unescape(subject) == subject
    words = (ALLAUTH / f"{prefix}_message.txt").read_text()
    for name, value in {"provider": NASTY, "deleted_email": EMAIL, "from_email": EMAIL, "to_email": EMAIL}.items():
        if f"{{{{ {name} }}}}" in words:
            assert value in text
            assert value in read.text


@every_mail
def test_it_loads_nothing(prefix: str, user: User) -> None:
    read = Reader(sent(prefix, user)[2])
    assert not read.tags & {"img", "link", "script", "iframe", "object", "video", "svg", "form", "base"}
    assert {name for name, _ in read.attributes} & {"src", "background", "srcset", "data", "onload"} == set()
    assert not [value for _, value in read.attributes if "url(" in value]


@pytest.mark.parametrize("prefix", [prefix for prefix in PREFIXES if is_notification(prefix)])
def test_it_says_when_and_from_where(prefix: str, user: User) -> None:
    _, text, html = sent(prefix, user)
    for words in (text, Reader(html).text):
        assert re.search(r"\d{4}, .* UTC", words)
        assert "192.0.2.7" in words
        assert NASTY in words, "the software"
        assert "if it was not" in words.lower()
        assert f"{settings.SITE_URL}/accounts/password/reset/" in words
