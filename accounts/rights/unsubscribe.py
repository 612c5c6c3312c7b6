"""Turning the emails about routine sign-ins off from an email. Alerts and emails about the account stay on."""

from allauth.account.models import EmailAddress
from django.db import transaction

from accounts import credentials
from accounts.changes.record import profile_changed
from accounts.links.address_links import UNSUBSCRIBE
from accounts.user import User


def find_user(token: str) -> User | None:
    """Return the account that a link acts for.

    None for a forged link, a deleted account, and an address that the account has no longer.
    """
    target = UNSUBSCRIBE.read(token)
    user = User.objects.filter(pk=target.number).first() if target else None
    if target is None or user is None:
        return None
    confirmed = EmailAddress.objects.filter(user=user, verified=True).values_list("email", flat=True)
    return user if target.find_address({user.email, *confirmed}) else None


@transaction.atomic
def turn_off(user: User) -> None:
    """Turn the emails about routine sign-ins off, and email the user that they are, once."""
    before = credentials.read_profile(user)
    if User.objects.filter(pk=user.pk, notify_sign_ins=True).update(notify_sign_ins=False):
        profile_changed(user, before, None)
    user.notify_sign_ins = False
