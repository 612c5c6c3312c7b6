"""allauth's adapter for second factors: encrypted secrets, this site's name, no email of allauth's own."""

from typing import Any
from urllib.parse import urlsplit

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.secrecy import vault


class FactorAdapter(DefaultMFAAdapter):
    """Second factors as this site has them. The history of credentials sends the emails (accounts/credentials)."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": _("This code is wrong, or it was already used. Wait for the next one and try again."),
        "cannot_generate_recovery_codes": _("Add a passkey or an authenticator app first."),
    }

    def encrypt(self, text: str) -> str:
        return vault.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return vault.decrypt(encrypted_text)

    def get_totp_issuer(self) -> str:
        return str(settings.SITE_NAME)

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Return the site that passkeys belong to: the host of SITE_URL, whatever the Host header says."""
        return {"id": urlsplit(settings.SITE_URL).hostname or "", "name": settings.SITE_NAME}

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Authenticator.Type) -> str:
        number = Authenticator.objects.filter(user_id=user.pk, type=type).count() + 1
        return gettext("Passkey %(number)d") % {"number": number}

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """Send nothing: every change is emailed from the history of credentials."""
