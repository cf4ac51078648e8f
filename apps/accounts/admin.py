from allauth.account.decorators import secure_admin_login
from django.contrib import admin

# Staff come in by the same door as everybody: its rate limits and verification hold for the admin too.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
