"""The site's settings for a server that also tells what it holds, and has less patience."""

from config import stalled_clients
from config.graphql import flow
from config.settings import *  # noqa: F403
from config.settings import MIDDLEWARE

MIDDLEWARE = ["tests.servers.counting.tells_what_it_holds", *MIDDLEWARE]
flow.PATIENCE_SECONDS = 3
stalled_clients.SECONDS = 5
