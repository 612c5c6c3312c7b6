"""The forms of second factors: allauth's, with this site's checks and labels."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import structlog
from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.webauthn import forms as webauthn
from django import forms
from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.db import Error
from django.utils.translation import gettext_lazy as _
from fido2.webauthn import AuthenticationResponse, RegistrationResponse

from accounts.factors import codes, enrolment
from accounts.user import User

log = structlog.get_logger("accounts")

LONGEST_CODE, LONGEST_NAME = 32, 60
DEFAULT_PORTS = {"https": 443, "http": 80}
REFUSED = _(
    "This passkey was not accepted. It may belong to another site or to another account, or it was removed here."
)


def code_field(label: Any) -> forms.CharField:
    """Return the field for a code: digits on phones, filled in by the browser."""
    attributes = {"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True, "spellcheck": "false"}
    return forms.CharField(label=label, max_length=LONGEST_CODE, widget=forms.TextInput(attrs=attributes))


class Checked:
    """A form whose code is checked once, and counted as a guess when it is wrong."""

    user: User
    cleaned_data: dict[str, Any]

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        accepting = codes.find_accepting(self.user, code)
        if accepting is None:
            named = {"username": self.user.get_username()}
            user_login_failed.send(type(self), credentials=named, request=context.request)
            raise get_adapter().validation_error("incorrect_code")
        accepting.user = self.user
        self.authenticator = accepting
        return code


class CodeForm(Checked, AuthenticateForm):
    """The second step of a sign-in."""

    code = code_field(_("Code from your app, or a recovery code"))


class CodeAgainForm(Checked, ReauthenticateForm):
    """The check before a change."""

    code = code_field(_("Code from your app, or a recovery code"))


class AppForm(forms.Form):
    """Adding an authenticator app: the code that it shows proves that it has the secret."""

    code = code_field(_("Code that the app shows"))

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        pending = enrolment.read_secret(context.request) if self.is_bound else ""
        self.secret = pending or enrolment.make_secret(context.request)

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if codes.matching_step(self.secret, code.replace(" ", "")) is None:
            raise forms.ValidationError(_("This code is wrong. Check the phone's clock, and try the next code."))
        return code


@contextmanager
def clear_refusal(credential: object, parse: Any) -> Iterator[None]:
    """Turn any failure to read or verify a passkey's response into a sentence for its user.

    The response comes from the browser: its parsers raise what they like. Only the site's own pages may ask for one.
    """
    try:
        origin = parse(credential).response.client_data.origin
        if origin not in own_origins():
            raise ValueError("the passkey was used on another site")
        yield
    except Error:
        raise
    except Exception as error:
        log.info("passkey refused", reason=type(error).__name__)
        raise forms.ValidationError(REFUSED) from None


def own_origins() -> set[str]:
    """Return the origins of this site, as browsers write them."""
    return {_origin(url) for url in (settings.SITE_URL, *settings.CSRF_TRUSTED_ORIGINS)}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    written = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{written}{port}"


class NewPasskeyForm(webauthn.AddWebAuthnForm):
    """Adding a passkey. Each one signs in without a password, so its device checks the user."""

    name = forms.CharField(
        label=_("Name of the passkey"),
        required=False,
        max_length=LONGEST_NAME,
        help_text=_("So that you recognise it in the list: “My phone”."),
    )
    passwordless = None

    def clean(self) -> dict[str, Any]:
        credential = self.cleaned_data.get("credential")
        if not credential:
            return self.cleaned_data
        with clear_refusal(credential, RegistrationResponse.from_dict):
            cleaned: dict[str, Any] = super().clean()
        return cleaned


class PasskeyNameForm(webauthn.EditWebAuthnForm):
    """Another name for a passkey."""

    name = forms.CharField(label=_("Name of the passkey"), max_length=LONGEST_NAME)


class Verified:
    """A form that takes the response of a passkey."""

    cleaned_data: dict[str, Any]

    def clean_credential(self) -> Any:
        with clear_refusal(self.cleaned_data["credential"], AuthenticationResponse.from_dict):
            return super().clean_credential()  # type: ignore[misc]


class PasskeySignInForm(Verified, webauthn.LoginWebAuthnForm):
    """Signing in with a passkey alone."""


class PasskeyForm(Verified, webauthn.AuthenticateWebAuthnForm):
    """The second step of a sign-in, with a passkey."""


class PasskeyAgainForm(Verified, webauthn.ReauthenticateWebAuthnForm):
    """The check before a change, with a passkey."""
