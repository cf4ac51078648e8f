from django.apps import AppConfig
from django.conf import settings


class ConfigConfig(AppConfig):
    """Makes the site itself an app, for its management commands and its system checks."""

    name = "config"

    def ready(self) -> None:
        from config.checks import register_checks

        register_checks()
        if any(database["ENGINE"] == "django.db.backends.postgresql" for database in settings.DATABASES.values()):
            from config.postgresql import spare_postgresql  # which needs psycopg

            spare_postgresql()
