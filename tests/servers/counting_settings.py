"""The site's settings for a server that also tells what it holds."""

from config.settings import *  # noqa: F403
from config.settings import MIDDLEWARE

MIDDLEWARE = ["tests.servers.counting.tells_what_it_holds", *MIDDLEWARE]
