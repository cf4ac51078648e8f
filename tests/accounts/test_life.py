"""A whole life of an account, by nothing but HTTP to `/graphql/` and the mailbox, against a real Daphne."""

import email
import email.policy
import re
import time
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from tests.accounts import totp
from tests.accounts.operations import (
    ADD_EMAIL_ADDRESS,
    AUTHENTICATE_MFA,
    CHANGE_PASSWORD,
    CONFIRM_TOTP,
    DELETE_ACCOUNT,
    EMAIL_ADDRESSES,
    END_SESSION,
    LOG_IN,
    LOG_OUT,
    MAKE_EMAIL_ADDRESS_PRIMARY,
    ME,
    MFA,
    OUT,
    REMOVE_EMAIL_ADDRESS,
    REQUEST_PASSWORD_RESET,
    RESET_PASSWORD,
    SESSIONS,
    SIGN_UP,
    START_TOTP,
    VERIFY_EMAIL,
)
from tests.processes import Server

ADDRESS, NEW_ADDRESS = "dora@example.com", "dora@example.org"
FIRST, SECOND, THIRD = "correct horse battery", "staple correct horse", "battery staple correct"

KINDS = "{ notifications(first: 100) { edges { node { kind } } } }"


class Client(httpx.Client):
    """What a mobile app is at its core: cookies, and JSON over HTTP."""

    def __init__(self, server: Server, user_agent: str = "Dora's phone") -> None:
        super().__init__(base_url=server.url, headers={"User-Agent": user_agent}, timeout=30)

    def __enter__(self) -> Self:
        super().__enter__()
        assert self.post("/graphql/").status_code == 403  # which hands out the cookie against CSRF
        return self

    def ask(self, query: str, **variables: Any) -> Any:
        """The one field that was asked for."""
        body = {"query": query, "variables": variables}
        answer = self.post("/graphql/", json=body, headers={"X-CSRFToken": self.cookies["csrftoken"]})
        body = answer.json()
        assert "errors" not in body, body
        [value] = body["data"].values()
        return value


class Mailbox:
    """The folder into which the server mails. Each mail is taken out once."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.taken: set[Path] = set()

    def key(self, recipient: str, path: str) -> str:
        """The key in the link that begins with this path, in the newest mail to the recipient."""
        link = re.compile(rf"{re.escape(self.server.url + path)}([^/\s]+)/")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for file in sorted(set(self.server.mail_dir.glob("*")) - self.taken):
                message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
                text = message.get_body(("plain",))
                if message["To"] == recipient and text and (found := link.search(text.get_content())):
                    self.taken.add(file)
                    return found[1]
        raise TimeoutError(f"No mail to {recipient} with a link to {path}")


@pytest.fixture
def mailbox(server: Server) -> Mailbox:
    return Mailbox(server)


def test_it_works(server: Server, mailbox: Mailbox) -> None:
    with Client(server) as phone, Client(server, "Dora's laptop") as laptop:
        # Sign up, verify by the mailed key, log in.
        assert phone.ask(SIGN_UP, email=ADDRESS, password=FIRST, displayName="Dora") == {
            **OUT,
            "pending": ["VERIFY_EMAIL"],
        }
        assert phone.ask(ME) is None
        assert phone.ask(LOG_IN, email=ADDRESS, password=FIRST) == {**OUT, "pending": ["VERIFY_EMAIL"]}
        dora = {"email": ADDRESS, "emailVerified": True, "profile": {"displayName": "Dora"}}
        signed_in = {"isAuthenticated": True, "pending": [], "user": dora}
        key = mailbox.key(ADDRESS, "/accounts/confirm-email/")
        assert phone.ask(VERIFY_EMAIL, key=key) == signed_in
        assert phone.ask(LOG_IN, email=ADDRESS, password=FIRST) == signed_in

        # A second factor.
        assert phone.ask(MFA) == {"totpEnabled": False, "recoveryCodesLeft": 0}
        setup = phone.ask(START_TOTP)
        assert setup["uri"].startswith("otpauth://totp/dora%40example.com?secret=" + setup["secret"])
        assert "<svg" in setup["qrCode"]
        recovery_codes = phone.ask(CONFIRM_TOTP, code=totp.code(setup["secret"]))["codes"]
        assert len(recovery_codes) == 10
        assert phone.ask(LOG_OUT) == OUT
        assert phone.ask(ME) is None
        assert phone.ask(LOG_IN, email=ADDRESS, password=FIRST) == {**OUT, "pending": ["MFA_CODE"]}
        assert phone.ask(ME) is None
        assert phone.ask(AUTHENTICATE_MFA, code=totp.code(setup["secret"])) == signed_in
        phone.ask(LOG_OUT)
        phone.ask(LOG_IN, email=ADDRESS, password=FIRST)
        assert phone.ask(AUTHENTICATE_MFA, code=recovery_codes[0]) == signed_in
        assert phone.ask(MFA) == {"totpEnabled": True, "recoveryCodesLeft": 9}

        # Another address.
        assert phone.ask(ADD_EMAIL_ADDRESS, email=NEW_ADDRESS) == {
            "email": NEW_ADDRESS,
            "verified": False,
            "primary": False,
        }
        assert phone.ask(VERIFY_EMAIL, key=mailbox.key(NEW_ADDRESS, "/accounts/confirm-email/"))["isAuthenticated"]
        assert phone.ask(MAKE_EMAIL_ADDRESS_PRIMARY, email=NEW_ADDRESS) == {
            "email": NEW_ADDRESS,
            "verified": True,
            "primary": True,
        }
        assert phone.ask(REMOVE_EMAIL_ADDRESS, email=ADDRESS) == {"accepted": True}
        assert phone.ask(EMAIL_ADDRESSES) == [{"email": NEW_ADDRESS, "verified": True, "primary": True}]
        assert phone.ask(ME) == {"email": NEW_ADDRESS, "emailVerified": True}

        # Another password.
        assert phone.ask(CHANGE_PASSWORD, currentPassword=FIRST, newPassword=SECOND)["isAuthenticated"]
        assert phone.ask(ME)

        # Two places, of which one is ended.
        laptop.ask(LOG_IN, email=NEW_ADDRESS, password=SECOND)
        assert laptop.ask(AUTHENTICATE_MFA, code=recovery_codes[1])["isAuthenticated"]
        sessions = {session["userAgent"]: session for session in phone.ask(SESSIONS)}
        assert set(sessions) == {"Dora's phone", "Dora's laptop"}
        assert sessions["Dora's phone"]["isCurrent"]
        assert not sessions["Dora's laptop"]["isCurrent"]
        assert sessions["Dora's laptop"]["ipAddress"] == "127.0.0.1"
        assert phone.ask(END_SESSION, id=sessions["Dora's laptop"]["id"]) == {"accepted": True}
        assert laptop.ask(ME) is None
        assert [session["userAgent"] for session in phone.ask(SESSIONS)] == ["Dora's phone"]

        # A forgotten password.
        assert laptop.ask(REQUEST_PASSWORD_RESET, email=NEW_ADDRESS) == {"accepted": True}
        key = mailbox.key(NEW_ADDRESS, "/accounts/password/reset/key/")
        assert laptop.ask(RESET_PASSWORD, key=key, password=THIRD) == OUT
        assert phone.ask(ME) is None
        phone.ask(LOG_IN, email=NEW_ADDRESS, password=THIRD)
        assert phone.ask(AUTHENTICATE_MFA, code=recovery_codes[2])["isAuthenticated"]

        # Of all that was dangerous, its owner has been told.
        kinds = [edge["node"]["kind"] for edge in phone.ask(KINDS)["edges"]]
        assert sorted(set(kinds)) == [
            "accounts.email_changed",
            "accounts.mfa_changed",
            "accounts.new_sign_in",
            "accounts.password_changed",
            "accounts.recovery_code_used",
            "accounts.welcome",
        ]

        # The end.
        assert phone.ask(DELETE_ACCOUNT, password=SECOND) == {
            "messages": [{"field": "password", "code": "invalid_credentials"}]
        }
        assert phone.ask(DELETE_ACCOUNT, password=THIRD) == {"accepted": True}
        assert phone.ask(ME) is None
        assert phone.ask(LOG_IN, email=NEW_ADDRESS, password=THIRD)["messages"][0]["code"] == "invalid_credentials"
    assert "Traceback" not in server.log.read_text()
