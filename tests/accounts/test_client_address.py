import pytest
from allauth.account.adapter import get_adapter
from django.test import RequestFactory
from pytest_django import Settings

PEER = "192.0.2.1"


@pytest.mark.parametrize(
    ("proxies", "forwarded_for", "expected"),
    [
        (0, None, PEER),
        (0, "198.51.100.7", PEER),  # nobody vouches for it
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "203.0.113.9, 198.51.100.7", "198.51.100.7"),  # the first is the visitor's own invention
        (2, "203.0.113.9, 198.51.100.7, 192.0.2.55", "198.51.100.7"),
        (2, "198.51.100.7", PEER),
        (1, None, PEER),
        (1, "", PEER),
        (1, "garbage", PEER),
    ],
)
def test_it_works(settings: Settings, proxies: int, forwarded_for: str | None, expected: str) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    headers = {} if forwarded_for is None else {"X-Forwarded-For": forwarded_for}
    request = RequestFactory(REMOTE_ADDR=PEER).get("/", headers=headers)
    assert get_adapter().get_client_ip(request) == expected
