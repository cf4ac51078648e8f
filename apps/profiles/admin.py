from django.contrib import admin

from apps.profiles.models import Profile


@admin.register(Profile)
class ProfileAdmin(admin.ModelAdmin):
    list_display = ("user", "display_name")
    list_select_related = ("user",)
    search_fields = ("user__email", "display_name")
    readonly_fields = ("user", "avatar")

    def has_add_permission(self, request: object) -> bool:
        return False  # every user has one already
