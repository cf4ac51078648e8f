"""The whole configuration, read top to bottom. The only reader of the environment: `.env.example` lists every variable.

Off by default: without `DEBUG` this is a production site, and it refuses to start half configured.
"""

from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env.read_env(BASE_DIR / ".env")  # what is set in the environment already wins

DEBUG = env.bool("DEBUG", default=False)


def required(name: str, development: str, remedy: str) -> str:
    """The variable `name`; in development it may be absent, in production its absence stops the start."""
    value = env.str(name, default=development if DEBUG else "")
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. {remedy} (For development, set DEBUG=1.)")
    return value


SECRET_KEY = required(
    "SECRET_KEY",
    development=f"development-only-{sha256(bytes(BASE_DIR)).hexdigest()}",  # each checkout its own
    remedy=f"Make one and keep it: export SECRET_KEY={token_urlsafe(50)}",
)

# -------------------------------------------------------------------------------------------- where this site is

HOST = env.str("HOST", default="127.0.0.1")
PORT = env.str("PORT", default="8000")
SITE_URL = required(
    "SITE_URL",
    development=f"http://{'127.0.0.1' if HOST == '0.0.0.0' else HOST}:{PORT}",  # noqa: S104 - a comparison
    remedy="It is the address that links in e-mail begin with: export SITE_URL=https://www.example.com",
).rstrip("/")
SITE = urlsplit(SITE_URL)
if SITE.scheme not in {"http", "https"} or not SITE.hostname:
    raise ImproperlyConfigured(
        f"SITE_URL is {SITE_URL!r}, which is no address. export SITE_URL=https://www.example.com"
    )

ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=[SITE.hostname, *(["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])]
)
CSRF_TRUSTED_ORIGINS = env.list(
    "CSRF_TRUSTED_ORIGINS", default=[f"http://{name}:{PORT}" for name in ("localhost", "127.0.0.1")] if DEBUG else []
)
# Whose pages may open a WebSocket here: decided by configuration, whatever the Host header says.
WEBSOCKET_ORIGINS = [f"{SITE.scheme}://{SITE.netloc}", *CSRF_TRUSTED_ORIGINS]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"

# --------------------------------------------------------------------------------------------------- what it is of

INSTALLED_APPS = [
    "daphne",  # before staticfiles: its runserver serves ASGI
    "config.apps.ConfigConfig",
    "apps.users",
    "apps.profiles",
    "apps.notifications",
    "apps.accounts",
    "allauth",
    "allauth.account",
    "allauth.headless",  # what `apps.accounts.services` speaks to; not served
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.usersessions",
    "channels",
    "strawberry_django",
    "servestatic",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",  # allauth's page of sessions
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "config.health.health_middleware",  # first: it answers whatever the host, the scheme or the session
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "config.middleware.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "config.body_limit.body_limit_middleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "apps.accounts.middleware.sessions_middleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.notifications.views.bell",
            ],
        },
    },
]

# ------------------------------------------------------------------------------------------------ where things are

DATABASES: dict[str, dict[str, Any]] = {"default": env.db_url("DATABASE_URL", default="sqlite:///db.sqlite3")}
DATABASE = DATABASES["default"]
DATABASE.setdefault("OPTIONS", {})
if DATABASE["ENGINE"] == "django.db.backends.sqlite3":
    DATABASE["NAME"] = BASE_DIR / DATABASE["NAME"]
    DATABASE["OPTIONS"] |= {
        # Writers wait for each other at BEGIN, instead of failing halfway when two turn from reading to writing.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,  # seconds
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",  # readers and the writer do not wait
    }
elif DATABASE["ENGINE"] == "django.db.backends.postgresql":
    # A pool, not CONN_MAX_AGE: that keeps a connection for each thread, and under ASGI threads come and go.
    DATABASE["OPTIONS"] |= {
        "pool": {"min_size": 1, "max_size": env.int("DATABASE_POOL_SIZE", default=10), "timeout": 10}
    }
    # A statement that a connection has seen before is planned no more. Django leaves that off, for poolers of whose
    # connections each transaction gets another.
    if env.bool("DATABASE_PREPARED_STATEMENTS", default=True):
        DATABASE["OPTIONS"] |= {"server_side_binding": True, "prepare_threshold": 5}
    DATABASE["CONN_HEALTH_CHECKS"] = True  # else each connection from before a restart fails one request
# How long one statement of a web process may take; see `config/statements.py`.
DATABASE_STATEMENT_SECONDS = env.float("DATABASE_STATEMENT_SECONDS", default=10)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# What `manage.py serve` starts: daphne, uvicorn, granian or hypercorn.
SERVER = env.str("SERVER", default="daphne")
# How many processes serve, as Uvicorn and Gunicorn read it too.
WEB_CONCURRENCY = env.int("WEB_CONCURRENCY", default=1)
REDIS_URL = env.str("REDIS_URL", default="")
if REDIS_URL:
    # A Redis may serve several sites, whose users have the same ids; and its messages know no database numbers.
    REDIS_PREFIX = f"site-{sha256(SECRET_KEY.encode()).hexdigest()[:16]}"
    # Redis pub/sub, not the default Redis layer: that one loses messages under load and goes deaf after a flush.
    CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
        "default": {
            "BACKEND": "apps.notifications.layers.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [REDIS_URL], "prefix": REDIS_PREFIX},
        },
    }
    CACHES: dict[str, dict[str, Any]] = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": REDIS_PREFIX,
        },
    }
else:
    # One process only: another one's layer and cache are its own.
    CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 10_000}},
    }
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

STATIC_URL = "/static/"
STATIC_ROOT = env.path("STATIC_ROOT", default=BASE_DIR / "staticfiles")
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_URL = "/media/"
MEDIA_ROOT = env.path("MEDIA_ROOT", default=BASE_DIR / "media")
# Uploads are kept here, or in any storage that speaks S3. Names are random and never used again, so addresses need no
# signature, and whoever has one may keep what is there for ever.
S3_BUCKET = env.str("S3_BUCKET", default="")
S3_ENDPOINT_URL = env.str("S3_ENDPOINT_URL", default="https://s3.amazonaws.com").rstrip("/")
S3_PUBLIC_URL = urlsplit(env.str("S3_PUBLIC_URL", default=f"{S3_ENDPOINT_URL}/{S3_BUCKET}").rstrip("/"))
S3_STORAGE: dict[str, Any] = {
    "BACKEND": "storages.backends.s3.S3Storage",
    "OPTIONS": {
        "bucket_name": S3_BUCKET,
        "endpoint_url": S3_ENDPOINT_URL,
        "region_name": env.str("S3_REGION", default="us-east-1"),
        "access_key": env.str("S3_ACCESS_KEY", default="") or None,
        "secret_key": env.str("S3_SECRET_KEY", default="") or None,
        "custom_domain": S3_PUBLIC_URL.netloc + S3_PUBLIC_URL.path,
        "url_protocol": f"{S3_PUBLIC_URL.scheme}:",
        "querystring_auth": False,
        "object_parameters": {"CacheControl": "public, max-age=31536000, immutable"},
    },
}
STORAGES: dict[str, dict[str, Any]] = {
    "default": S3_STORAGE if S3_BUCKET else {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "config.staticfiles.ModuleManifestStorage"
    },
}


def mailer(url: str) -> dict[str, Any]:
    """`consolemail://`, `filemail:///dir`, `smtp://user:pw@host:port` (`smtp+tls`: STARTTLS, `smtps`: TLS at once)."""
    parts = urlsplit(url)
    match parts.scheme:
        case "consolemail":
            return {"BACKEND": "django.core.mail.backends.console.EmailBackend"}
        case "filemail":
            return {
                "BACKEND": "django.core.mail.backends.filebased.EmailBackend",
                "OPTIONS": {"file_path": unquote(parts.path)},
            }
        case "smtp" | "smtp+tls" | "smtps":
            return {
                "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
                "OPTIONS": {
                    "host": parts.hostname or "localhost",
                    "port": parts.port or {"smtp": 25, "smtp+tls": 587, "smtps": 465}[parts.scheme],
                    "username": unquote(parts.username or ""),
                    "password": unquote(parts.password or ""),
                    "use_tls": parts.scheme == "smtp+tls",
                    "use_ssl": parts.scheme == "smtps",
                    "timeout": 10,  # seconds
                },
            }
    raise ImproperlyConfigured(f"EMAIL_URL is {url!r}. Try consolemail:// or smtp://user:password@mail.example.com:587")


MAILERS: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "config.mail.BackgroundBackend"},
    "delivery": mailer(env.str("EMAIL_URL", default="consolemail://")),
}
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEFAULT_FROM_EMAIL", default=f"noreply@{SITE.hostname}")

# ------------------------------------------------------------------------------------------------------- safety

# SITE_URL's scheme decides, not DEBUG: a production build on http://127.0.0.1 must be able to log in.
HTTPS = SITE.scheme == "https"
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-sessionid" if HTTPS else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if HTTPS else "csrftoken"
SECURE_HSTS_SECONDS = 30 * 24 * 3600 if HTTPS else 0
# HSTS for every subdomain, and for ever, is a promise that only the domain's owner can make.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
CSRF_FAILURE_VIEW = "config.graphql.http.csrf_failure"

TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)
if TRUSTED_PROXY_COUNT:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

SECURE_CSP: dict[str, list[str]] = {
    "default-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],  # data: a QR code, for an authenticator app
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
}
if S3_BUCKET:
    SECURE_CSP["img-src"].append(f"{S3_PUBLIC_URL.scheme}://{S3_PUBLIC_URL.netloc}")
X_FRAME_OPTIONS = "DENY"
MAX_BODY_BYTES = 8 * 1024 * 1024  # a picture of 5 MiB and some more, so that one a little too large is told so
FILE_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES  # Django writes what is larger to the disk, on the event loop

# ----------------------------------------------------------------------------------------------------- accounts

AUTH_USER_MODEL = "users.User"
AUTHENTICATION_BACKENDS = ["apps.accounts.backends.AuthenticationBackend"]
SESSION_ENGINE = "apps.accounts.backends"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"
ADMIN_PATH = env.str("ADMIN_PATH", default="admin/").strip("/") + "/"

ACCOUNT_ADAPTER = "apps.accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_SIGNUP_FORM_CLASS = "apps.accounts.forms.SignupForm"
# Mandatory: otherwise sign-up tells a stranger which addresses have an account.
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
# A row for each key, not a signature: so a key can be used up, and dies with a change of password.
ACCOUNT_EMAIL_CONFIRMATION_HMAC = False
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True  # in the session that signed up, and nowhere else
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = SITE.scheme
ACCOUNT_RATE_LIMITS = {  # allauth's own, and what differs: three mails in five minutes instead of one in three
    "confirm_email": "3/5m/key",
    "change_password": "5/5m/user",  # as many wrong passwords as at signing in
    "request_verification": "20/m/ip,3/5m/key",
}
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXY_COUNT
PASSWORD_RESET_TIMEOUT = 3 * 3600  # seconds

# The second factor: an authenticator app or a passkey, and recovery codes. A passkey also signs in by itself.
MFA_ADAPTER = "apps.accounts.adapter.MFAAdapter"
MFA_FORMS = {
    "add_webauthn": "apps.accounts.passkeys.AddWebAuthnForm",
    "authenticate_webauthn": "apps.accounts.passkeys.AuthenticateWebAuthnForm",
    "login_webauthn": "apps.accounts.passkeys.LoginWebAuthnForm",
    "reauthenticate_webauthn": "apps.accounts.passkeys.ReauthenticateWebAuthnForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = SITE.netloc
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS  # http://localhost, in development
# allauth would rather refuse a new address than keep an unverified one beside a second factor; here nobody is signed in
# who has not verified one, which is what that is for.
MFA_ALLOW_UNVERIFIED_EMAIL = True

USERSESSIONS_TRACK_ACTIVITY = True  # shows it on the page; `apps.accounts.middleware` keeps it
HEADLESS_CLIENTS = ("browser",)  # by the session's cookie; there are no tokens

# Sign-in with an account elsewhere: a provider without a key is not installed, so it has no button and no address.
SOCIALACCOUNT_ADAPTER = "apps.accounts.adapter.SocialAccountAdapter"
SOCIAL_APPS: dict[str, dict[str, Any]] = {
    "google": {
        "client_id": env.str("GOOGLE_CLIENT_ID", default=""),
        "secret": env.str("GOOGLE_CLIENT_SECRET", default=""),
    },
    "github": {
        "client_id": env.str("GITHUB_CLIENT_ID", default=""),
        "secret": env.str("GITHUB_CLIENT_SECRET", default=""),
    },
    "microsoft": {
        "client_id": env.str("MICROSOFT_CLIENT_ID", default=""),
        "secret": env.str("MICROSOFT_CLIENT_SECRET", default=""),
    },
    "apple": {
        "client_id": env.str("APPLE_CLIENT_ID", default=""),
        "secret": env.str("APPLE_KEY_ID", default=""),
        "key": env.str("APPLE_TEAM_ID", default=""),
        "settings": {"certificate_key": env.str("APPLE_PRIVATE_KEY", default="").replace("\\n", "\n")},
    },
}
GITHUB_URL = env.str("GITHUB_URL", default="https://github.com")
SOCIAL_ORIGINS = {
    "google": "https://accounts.google.com",
    "github": GITHUB_URL,
    "microsoft": "https://login.microsoftonline.com",
    "apple": "https://appleid.apple.com",
}
SOCIALACCOUNT_PROVIDERS: dict[str, dict[str, Any]] = {
    name: {"APPS": [app], "OAUTH_PKCE_ENABLED": True} for name, app in SOCIAL_APPS.items() if app["client_id"]
}
if "github" in SOCIALACCOUNT_PROVIDERS and GITHUB_URL != "https://github.com":
    SOCIALACCOUNT_PROVIDERS["github"]["GITHUB_URL"] = GITHUB_URL  # whose API has another address
INSTALLED_APPS += [f"allauth.socialaccount.providers.{name}" for name in SOCIALACCOUNT_PROVIDERS]
SECURE_CSP["form-action"].extend(SOCIAL_ORIGINS[name] for name in SOCIALACCOUNT_PROVIDERS)  # where buttons lead

# ------------------------------------------------------------------------------------------------- notifications

# How long, at the most, a change waits to be noticed where the channel layer lost it.
NOTIFICATIONS_POLL_SECONDS = env.float("NOTIFICATIONS_POLL_SECONDS", default=2.0)
# Archived notifications are purged after this; all are after a year.
NOTIFICATIONS_RETENTION_DAYS = env.int("NOTIFICATIONS_RETENTION_DAYS", default=90)

# ------------------------------------------------------------------------------------------- calls to elsewhere

# How long one may take, redirects, further tries and its body included; and how long a connection may.
OUTGOING_SECONDS = env.float("OUTGOING_SECONDS", default=10)
OUTGOING_CONNECT_SECONDS = env.float("OUTGOING_CONNECT_SECONDS", default=3)
# How many are under way at once in a process; the others wait, within their time.
OUTGOING_AT_ONCE = env.int("OUTGOING_AT_ONCE", default=20)
# Names, addresses and networks that may be called though they are not public, and at any port.
OUTGOING_TRUSTED = env.list("OUTGOING_TRUSTED", default=[])

# ---------------------------------------------------------------------------------------------------- the end

# From SIGTERM until sockets are closed: so long `/health/ready/` says 503, for a load balancer to look elsewhere.
SHUTDOWN_DELAY_SECONDS = env.float("SHUTDOWN_DELAY_SECONDS", default=2.0)

# Threads of each process for what no answer waits for: mail. 0: it is waited for.
BACKGROUND_THREADS = env.int("BACKGROUND_THREADS", default=2)

# ------------------------------------------------------------------------------------------------ language, logs

LANGUAGE_CODE = "en"
USE_TZ = True
TIME_ZONE = "UTC"

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        # Django's own handlers would print the same again, or mail it to nobody.
        "django": {"handlers": [], "propagate": True},
        "httpx2": {"level": "WARNING"},  # else it logs all addresses, with what is secret in them
    },
}
