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


class Relabelled:
    """For a form of allauth's: labels written as all others here are."""

    fields: dict[str, Any]
    labels: dict[str, Any] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in self.labels.items():
            self.fields[name].label = label


class SignInForm(Relabelled, LoginForm):
    """The form of the sign-in, saying what may be written into its first field."""

    labels = {"login": _("Username or email"), "remember": _("Remember me on this browser")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].max_length = 254


class NewPasswordForm(Relabelled, ResetPasswordKeyForm):
    """The form behind the link in the mail."""

    labels = {"password1": _("New password"), "password2": _("New password, once more")}


class PasswordChangeForm(Relabelled, ChangePasswordForm):
    """The same for who is signed in."""

    labels = {"oldpassword": _("Current password"), **NewPasswordForm.labels}
