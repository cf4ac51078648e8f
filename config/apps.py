from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Makes the site itself an app, for its management commands."""

    name = "config"
