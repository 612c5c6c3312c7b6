"""What a person may choose for themselves."""

import zoneinfo
from functools import cache
from typing import Any

from allauth.account.forms import ChangePasswordForm, LoginForm, ResetPasswordKeyForm
from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts.models import LANGUAGES, User

NEARBY = ["Asia/Ulaanbaatar", "Asia/Hovd"]  # at the head of the list


@cache
def zones_by_name() -> list[tuple[str, str]]:
    """Every time zone by its name, Mongolia's first."""
    named = [zone for zone in sorted(zoneinfo.available_timezones()) if "/" in zone and not zone.startswith("Etc/")]
    return [(zone, zone.replace("_", " ")) for zone in NEARBY + [zone for zone in named if zone not in NEARBY]]


def zones() -> list[tuple[str, str]]:
    """The choices: the site's own, then all others."""
    site = _("The site's: %(zone)s") % {"zone": settings.TIME_ZONE.replace("_", " ")}
    return [("", site), *zones_by_name()]


class PreferencesForm(forms.ModelForm):
    """Language, time zone, and whether every sign-in is told; a new device always is."""

    language = forms.ChoiceField(
        label=_("Language of pages and mails"), required=False, choices=[("", _("As in the browser")), *LANGUAGES]
    )
    time_zone = forms.ChoiceField(label=_("Time zone"), required=False, choices=zones)
    notify_sign_ins = forms.BooleanField(
        label=_("Mail me at every sign-in"),
        required=False,
        help_text=_("A sign-in from a new device is always told; that cannot be turned off."),
    )

    class Meta:
        model = User
        fields = ["language", "time_zone", "notify_sign_ins"]


class SignInForm(LoginForm):
    """allauth's form, saying what may be written into its first field."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = _("Username or email")
        self.fields["login"].max_length = 254
        self.fields["remember"].label = _("Remember me on this browser")


class NewPasswordForm(ResetPasswordKeyForm):
    """allauth's form behind the link in the mail, with labels written as all others are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].label = _("New password")
        self.fields["password2"].label = _("New password, once more")


class PasswordChangeForm(ChangePasswordForm):
    """The same for who is signed in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["oldpassword"].label = _("Current password")
        self.fields["password1"].label = _("New password")
        self.fields["password2"].label = _("New password, once more")
