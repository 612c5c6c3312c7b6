"""Tokens of the links in emails about an account, which end with the account's epoch."""

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core import signing

from accounts.credentials.addresses import adopt_address
from accounts.credentials.history import Credential
from accounts.user import User

ENTRY_SALT = "accounts.credentials.tokens"


class ResetTokenGenerator(PasswordResetTokenGenerator):
    """Tokens for a new password: valid until the epoch, the password, an address or the last sign-in changes."""

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        adopt_address(user)
        epoch = User.objects.values_list("epoch", flat=True).get(pk=user.pk)
        known = EmailAddress.objects.filter(user=user).order_by("email").values_list("email", flat=True)
        return "|".join([super()._make_hash_value(user, timestamp), str(epoch), user.email, *known])


def sign_entry(entry: Credential) -> str:
    """Return what names the entry of the address to which a reset link is mailed, in that link."""
    return signing.dumps(entry.pk, salt=ENTRY_SALT)


def read_entry(text: str) -> int | None:
    """Return the entry that a reset link names; None for a text with a wrong or old signature."""
    try:
        return int(signing.loads(text, salt=ENTRY_SALT, max_age=settings.PASSWORD_RESET_TIMEOUT))
    except (signing.BadSignature, ValueError, TypeError):
        return None
