"""What the page of sessions calls a browser."""

import pytest

from apps.accounts.user_agents import software

LIKE_GECKO = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"


def test_it_works() -> None:
    assert software("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0") == (
        "Firefox, Windows"
    )


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {LIKE_GECKO}", "Chrome, Mac"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {LIKE_GECKO} Edg/140.0.0.0", "Edge, Windows"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {LIKE_GECKO} OPR/120.0.0.0", "Opera, Linux"),
        (f"Mozilla/5.0 (Linux; Android 10; K) {LIKE_GECKO}", "Chrome, Android"),
        (f"{IPHONE} Version/18.0 Mobile/15E148 Safari/604.1", "Safari, iPhone"),
        (f"{IPHONE} CriOS/140.0 Mobile/15E148 Safari/604.1", "Chrome, iPhone"),
        ("curl/8.14.1", "curl/8.14.1"),
        ("x" * 200, "x" * 39 + "…"),
        ("", "Unknown software"),
    ],
)
def test_many(user_agent: str, words: str) -> None:
    assert software(user_agent) == words
