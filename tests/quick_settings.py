"""The site's settings for a server at which many sign up: hashing a password takes no time, as in other tests."""

from config.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
