from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Makes the site itself an app, for its management commands and its system checks."""

    name = "config"

    def ready(self) -> None:
        from config.checks import register_checks

        register_checks()
