from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.profiles.models import Profile


@admin.register(Profile)
class ProfileAdmin(admin.ModelAdmin):
    list_display = ("user", "display_name")
    search_fields = ("user__email", "display_name")
    readonly_fields = ("user", "avatar")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Profile]:
        return super().get_queryset(request).select_related("user")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # every user has one already
