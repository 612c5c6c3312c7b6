"""Forms of the users' pages: preferences, and allauth's forms with our labels."""

import zoneinfo
from functools import cache
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import ChangePasswordForm, LoginForm, ResetPasswordKeyForm, SignupForm
from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts.mail.sanitize import plain_text
from accounts.user import User, language_choices

NEARBY = ["Asia/Ulaanbaatar", "Asia/Hovd"]  # at the head of the list


@cache
def zones_by_name() -> list[tuple[str, str]]:
    """Return every time zone with its name, Mongolia's first."""
    named = [zone for zone in sorted(zoneinfo.available_timezones()) if "/" in zone and not zone.startswith("Etc/")]
    return [(zone, zone.replace("_", " ")) for zone in NEARBY + [zone for zone in named if zone not in NEARBY]]


def zones() -> list[tuple[str, str]]:
    """Return the choices: the site's own zone, then all others."""
    site = _("The site's time zone: %(zone)s") % {"zone": settings.TIME_ZONE.replace("_", " ")}
    return [("", site), *zones_by_name()]


def languages() -> list[tuple[str, str]]:
    """Return the choices: the browser's language, then those of the site."""
    return [("", str(_("The browser's language"))), *language_choices()]


class PreferencesForm(forms.ModelForm):
    """Name, language, time zone, and whether the user is notified of every sign-in.

    A sign-in from a new device is always notified.
    """

    language = forms.ChoiceField(label=_("Language of pages and emails"), required=False, choices=languages)
    time_zone = forms.ChoiceField(label=_("Time zone"), required=False, choices=zones)
    notify_sign_ins = forms.BooleanField(
        label=_("Email me about every sign-in"),
        required=False,
        help_text=_(
            "We always email you about sign-ins from new devices. "
            "Before you turn off the other notices, we ask you to confirm that it is you."
        ),
    )

    class Meta:
        model = User
        fields = ["first_name", "last_name", "language", "time_zone", "notify_sign_ins"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.turned_on = self.instance.notify_sign_ins

    @property
    def needs_check(self) -> bool:
        """Whether the form turns notices off or changes the name, before which the user is asked again."""
        turned_off = self.turned_on and not self.cleaned_data.get("notify_sign_ins")
        return turned_off or bool({"first_name", "last_name"} & set(self.changed_data))

    def clean_first_name(self) -> str:
        """Return the name without invisible characters."""
        return plain_text(self.cleaned_data["first_name"], 150)

    def clean_last_name(self) -> str:
        """Return the name without invisible characters."""
        return plain_text(self.cleaned_data["last_name"], 150)


class Relabelled:
    """A form of allauth, with the labels of this site."""

    fields: dict[str, Any]
    labels: dict[str, Any] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in self.labels.items():
            self.fields[name].label = label


class SignInForm(Relabelled, LoginForm):
    """The form of the sign-in page."""

    labels = {"login": _("Username or email"), "remember": _("Remember me on this browser")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].max_length = 254


class SignUpForm(SignupForm):
    """The form of the sign-up. It does not reveal whether an address has an account.

    An address that another account has stays unconfirmed in the new one: its mailbox alone can confirm it.
    """

    def validate_unique_email(self, value: str) -> str:
        """Accept every address."""
        return value


class NewPasswordForm(Relabelled, ResetPasswordKeyForm):
    """The form behind the link in the email of a password reset."""

    labels = {"password1": _("New password"), "password2": _("New password again")}


class PasswordChangeForm(Relabelled, ChangePasswordForm):
    """The form with which a signed-in user changes the password."""

    labels = {"oldpassword": _("Current password"), **NewPasswordForm.labels}

    def clean_oldpassword(self) -> str:
        """Check the current password as a sign-in does, so that a wrong one is counted."""
        return check_password(self.user, self.cleaned_data["oldpassword"])


def check_password(user: Any, password: str) -> str:
    """Return the password. Raise ValidationError, and `user_login_failed`, when it is not the account's."""
    if not get_adapter().reauthenticate(user, password):
        raise get_adapter().validation_error("enter_current_password")
    return password
