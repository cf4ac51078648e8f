"""The site's settings on the channel layer `LAYER`, with every clock of that layer a hundred times as fast."""

import os

from config.settings import *  # noqa: F403
from config.settings import REDIS_URL, SECRET_KEY

host = {"address": REDIS_URL, "socket_timeout": 5 / 100}  # redis-py's default is five seconds
CHANNEL_LAYERS = {
    "default": {
        "memory": {
            "BACKEND": "channels.layers.InMemoryChannelLayer",
            "CONFIG": {"expiry": 60 / 100, "group_expiry": 86_400 / 100},
        },
        "pubsub": {
            "BACKEND": "apps.notifications.layers.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [host], "prefix": SECRET_KEY},
        },
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [host], "prefix": SECRET_KEY, "expiry": 60 / 100, "group_expiry": 86_400 // 100},
        },
    }[os.environ["LAYER"]]
}
