"""The settings as a fresh process reads them from its environment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PRODUCTION = {"SECRET_KEY": "k" * 60, "SITE_URL": "https://www.example.com"}


def read(*names: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = f"import json, config.settings as s; print(json.dumps([getattr(s, n) for n in {names!r}], default=str))"
    inherited = {"PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, env=inherited | environment, capture_output=True, text=True, timeout=60)


def values(*names: str, **environment: str) -> list[object]:
    done = read(*names, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_works() -> None:
    assert values("DEBUG", "ALLOWED_HOSTS", "SITE_URL", **PRODUCTION) == [
        False,
        ["www.example.com"],
        "https://www.example.com",
    ]


@pytest.mark.parametrize("missing", ["SECRET_KEY", "SITE_URL"])
def test_a_missing_variable_stops_the_start_and_says_how_to_mend_it(missing: str) -> None:
    done = read("DEBUG", **{name: value for name, value in PRODUCTION.items() if name != missing})
    assert done.returncode != 0
    assert f"{missing} is not set." in done.stderr
    assert f"export {missing}=" in done.stderr


def test_development_needs_nothing() -> None:
    assert values("SITE_URL", "CSRF_COOKIE_NAME", DEBUG="1", PORT="9000") == ["http://127.0.0.1:9000", "csrftoken"]


def test_the_scheme_of_site_url_decides_the_https_settings() -> None:
    names = ("SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME", "SESSION_COOKIE_SECURE", "SECURE_SSL_REDIRECT")
    assert values(*names, **PRODUCTION) == ["__Host-sessionid", "__Host-csrftoken", True, True]
    loopback = PRODUCTION | {"SITE_URL": "http://127.0.0.1:8000"}
    assert values(*names, **loopback) == ["sessionid", "csrftoken", False, False]


def test_whose_pages_may_open_a_socket() -> None:
    assert values("WEBSOCKET_ORIGINS", **PRODUCTION, CSRF_TRUSTED_ORIGINS="https://app.example.com") == [
        ["https://www.example.com", "https://app.example.com"]
    ]


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("filemail:///var/mail/out", {"file_path": "/var/mail/out"}),
        (
            "smtp+tls://me%40example.com:p%3Aw@mail.example.com",
            {"host": "mail.example.com", "port": 587, "username": "me@example.com", "password": "p:w", "use_tls": True},
        ),
        ("smtp://mail:1025", {"host": "mail", "port": 1025, "use_tls": False, "use_ssl": False}),
    ],
)
def test_email_url(url: str, options: dict[str, object]) -> None:
    [mailers] = values("MAILERS", **PRODUCTION, EMAIL_URL=url)
    assert isinstance(mailers, dict)
    assert options.items() <= mailers["delivery"]["OPTIONS"].items()


def test_an_unknown_email_url_is_refused() -> None:
    assert "EMAIL_URL is 'pigeon://x'" in read("DEBUG", **PRODUCTION, EMAIL_URL="pigeon://x").stderr


def test_databases() -> None:
    [sqlite] = values("DATABASE", **PRODUCTION)
    assert isinstance(sqlite, dict)
    assert sqlite["NAME"] == str(ROOT / "db.sqlite3")
    assert sqlite["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    [postgres] = values("DATABASE", **PRODUCTION, DATABASE_URL="postgres://u:p@db:5432/site")
    assert isinstance(postgres, dict)
    assert postgres["OPTIONS"]["pool"]["max_size"] == 10
    assert "CONN_MAX_AGE" not in postgres or postgres["CONN_MAX_AGE"] == 0
