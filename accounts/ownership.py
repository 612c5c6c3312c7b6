"""Whose an address is: confirmed by the person, or entered by an operator, which counts as much.

allauth gives an operator's address a row of its own the first time it meets it, and calls it unconfirmed; `adopt`
comes before that, or notices to people whom an operator added would stop by themselves.
"""

from allauth.account.models import EmailAddress
from django.contrib.auth.tokens import PasswordResetTokenGenerator

from accounts.models import User


def adopt(user: User) -> None:
    """Gives an address that an operator entered its confirmed row, unless it is confirmed as somebody else's."""
    if not user.email or EmailAddress.objects.filter(user=user).exists():
        return
    if not EmailAddress.objects.filter(email__iexact=user.email, verified=True).exists():
        EmailAddress.objects.create(user=user, email=user.email.lower(), verified=True, primary=True)


class TokenGenerator(PasswordResetTokenGenerator):
    """Tokens for setting a new password: good until the password, an address or the last sign-in changes."""

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        adopt(user)
        known = EmailAddress.objects.filter(user=user).order_by("email").values_list("email", flat=True)
        return "|".join([super()._make_hash_value(user, timestamp), user.email, *known])
