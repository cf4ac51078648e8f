from allauth.account.decorators import secure_admin_login
from allauth.usersessions.admin import UserSessionAdmin
from django.contrib import admin

# Staff come in by the same door as everybody: its rate limits and verification hold for the admin too.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

# allauth searches by user name, which nobody has here.
UserSessionAdmin.search_fields = ["user__email", "ip"]
