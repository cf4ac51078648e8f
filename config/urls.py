from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path

from apps.accounts.views import delete_account
from apps.notifications.views import inbox
from apps.profiles.views import avatar
from apps.profiles.views import settings as settings_page
from config.graphql.http import graphql
from config.views import export, home

handler400 = "config.views.bad_request"
handler403 = "config.views.forbidden"
handler404 = "config.views.not_found"

urlpatterns = [
    path("", home, name="home"),
    path("notifications/", inbox, name="inbox"),
    path("settings/", settings_page, name="settings"),
    path("settings/export/", export, name="export"),
    path("settings/delete/", delete_account, name="delete_account"),
    path("accounts/", include("apps.accounts.urls")),
    path("graphql/", graphql, name="graphql"),
    re_path(r"^media/avatars/(?P<name>[0-9a-f]{32})/(?P<size>64|128|256|512)\.webp$", avatar, name="avatar"),
    path(settings.ADMIN_PATH, admin.site.urls),
]
