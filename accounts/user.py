"""The account of a user."""

import re

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Upper
from django.http import HttpRequest
from django.utils.crypto import get_random_string
from django.utils.translation import gettext_lazy as _

RANDOM_NAME = re.compile("user-[a-z0-9]{12}")


def language_choices() -> list[tuple[str, str]]:
    """Return the languages of the site, each with its name in itself."""
    return list(settings.LANGUAGES)


class User(AbstractUser):
    """An account.

    An empty language or time zone means that the user has not chosen one.
    """

    language = models.CharField(_("language"), max_length=8, blank=True, choices=language_choices)
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True)
    notify_sign_ins = models.BooleanField(
        _("email about every sign-in"), default=True, help_text=_("Sign-ins from a new device are always reported.")
    )
    epoch = models.PositiveIntegerField(_("epoch"), default=0, db_default=0, editable=False)
    """Grows with every dispute, reset, change of password and removal: what was made in an older epoch does nothing."""

    suspended_rights = models.JSONField(_("rights suspended by a dispute"), default=list, db_default=[], editable=False)

    class Meta(AbstractUser.Meta):
        verbose_name = _("account")  # type: ignore[assignment]
        verbose_name_plural = _("accounts")  # type: ignore[assignment]
        indexes = [  # the operators' search (people/search.py)
            models.Index(Upper("first_name"), name="user_first_name"),
            models.Index(Upper("last_name"), name="user_last_name"),
            models.Index(Upper("email"), name="user_email"),
        ]

    @property
    def shown_name(self) -> str:
        """The name for greetings: the full name, else the user name unless it is random; "" without one."""
        username = self.get_username()
        return self.get_full_name() or ("" if RANDOM_NAME.fullmatch(username) else username)


def random_username() -> str:
    """Return a user name that says nothing: one made from an address would reveal which names are taken."""
    return "user-" + get_random_string(12, "abcdefghijklmnopqrstuvwxyz0123456789")


def signed_in_user(request: HttpRequest) -> User:
    """Return the signed-in user; a guard of every caller, such as `login_required`, has checked that there is one."""
    assert isinstance(request.user, User)  # noqa: S101
    return request.user
