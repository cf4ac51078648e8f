from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class NotificationsConfig(AppConfig):
    name = "apps.notifications"

    def ready(self) -> None:
        from apps.notifications import receivers  # noqa: F401

        autodiscover_modules("notifications")  # where each app declares its kinds
