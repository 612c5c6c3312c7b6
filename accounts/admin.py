"""People and their sign-ins in the Django admin. Sign-ins are read, never written."""

from allauth.socialaccount import admin as _registers  # noqa: F401  (before they are taken out again)
from allauth.socialaccount.models import SocialApp, SocialToken
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts import admin_undeliverable, devices, moments  # noqa: F401  (the first registers its pages)
from accounts.models import SignIn, User

# GitHub's id and secret are settings (GITHUB_CLIENT_ID), and nobody's tokens are kept: nothing to enter here.
admin.site.unregister(SocialApp)
admin.site.unregister(SocialToken)


@admin.register(User)
class PersonAdmin(UserAdmin):
    fieldsets = (
        *(UserAdmin.fieldsets or ()),
        (_("Preferences"), {"fields": ("language", "time_zone", "notify_sign_ins")}),
    )


@admin.register(SignIn)
class SignInAdmin(admin.ModelAdmin):
    list_display = ["when", "user", "method", "device", "ip", "new_device", "notice", "disputed"]
    list_filter = ["method", "new_device", "notice", ("disputed_at", admin.EmptyFieldListFilter)]
    list_select_related = ["user"]
    search_fields = ["user__username", "user__email", "ip"]
    search_help_text = _("user name, address or IP address")
    ordering = ["-at"]
    show_full_result_count = False

    @admin.display(description=_("at"), ordering="at")
    def when(self, sign_in: SignIn) -> str:
        return moments.to_the_minute(sign_in.at)

    @admin.display(description=_("device"), ordering="browser")
    def device(self, sign_in: SignIn) -> str:
        return devices.in_words(sign_in.browser, sign_in.system)

    @admin.display(description=_("disputed"), ordering="disputed_at")
    def disputed(self, sign_in: SignIn) -> str | None:
        return moments.to_the_minute(sign_in.disputed_at) if sign_in.disputed_at else None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: SignIn | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: SignIn | None = None) -> bool:
        return False
