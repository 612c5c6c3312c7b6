"""The history of what signs a user in, or recovers the account: addresses, GitHub accounts, factors, the profile."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from allauth.core import context
from django.db import models
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.links.dispute_links import UNDO_DAYS
from accounts.user import User


class CredentialQuerySet(models.QuerySet["Credential"]):
    """The history of addresses, GitHub accounts and factors: what is current, held, leaving or at its end."""

    def for_address(self, user_id: int, address: str) -> Self:
        """Return the history of one address of an account, the newest entry first."""
        return self.filter(user_id=user_id, kind=Credential.Kind.ADDRESS, address=address.lower()).order_by("-pk")

    def for_factor(self, user_id: int, kind: str, reference: str) -> Self:
        """Return the history of one factor or GitHub account, the newest entry first."""
        return self.filter(user_id=user_id, kind=kind, reference=reference).order_by("-pk")

    def current(self, user_id: int) -> Self:
        """Return the confirmed addresses of an account, the oldest first."""
        addresses = self.filter(user_id=user_id, kind=Credential.Kind.ADDRESS, state=Credential.State.CURRENT)
        return addresses.order_by("since", "pk")

    def leaving(self) -> Self:
        """Return what was removed and can still be restored."""
        return self.filter(state=Credential.State.LEAVING)

    def held(self, user_id: int) -> Self:
        """Return what a dispute switched off, the oldest first."""
        return self.filter(user_id=user_id, state=Credential.State.HELD).order_by("since", "pk")

    def end_power(self, backing: "Credential.Backing | None" = None) -> int:
        """End the power of what is leaving or held, and forget its sealed value; return how many rows ended."""
        rows = self.filter(state__in=[Credential.State.LEAVING, Credential.State.HELD])
        proof = {} if backing is None else {"backing": backing}
        return rows.update(state=Credential.State.GONE, sealed={}, **proof)

    def expired(self) -> Self:
        """Return what was removed, or held, UNDO_DAYS ago and still has its state."""
        old = self.filter(removed_at__lt=Now() - timedelta(days=UNDO_DAYS))
        return old.filter(state__in=[Credential.State.LEAVING, Credential.State.HELD])


class Credential(models.Model):
    """One period in which something belonged to an account. Entries are added and closed, never rewritten."""

    class Kind(models.TextChoices):
        ADDRESS = "address", _("email address")
        GITHUB = "github", "GitHub"
        TOTP = "totp", _("authenticator app")
        PASSKEY = "passkey", _("passkey")
        RECOVERY_CODES = "recovery_codes", _("recovery codes")
        PROFILE = "profile", _("name, language and notices")

    class State(models.TextChoices):
        CURRENT = "current", _("current")
        HELD = "held", _("switched off by a dispute")
        LEAVING = "leaving", _("removed, can still be restored")
        GONE = "gone", _("removed")

    class Backing(models.TextChoices):
        """What proved the last change of an entry to be its owner's."""

        NONE = "none", _("nothing")
        PASSWORD = "password", _("the password, in a browser known for a week")
        FACTOR = "factor", _("a second factor older than a week")
        MAILBOX = "mailbox", _("a link in the removed mailbox")
        OPERATOR = "operator", _("an operator")
        DISPUTE = "dispute", _("a dispute")

    user = models.ForeignKey(User, models.CASCADE, related_name="credentials", verbose_name=_("account"))
    kind = models.CharField(_("kind"), max_length=16, choices=Kind, default=Kind.ADDRESS, db_default=Kind.ADDRESS)
    address = models.EmailField(_("address"), blank=True)
    reference = models.CharField(_("reference"), max_length=255, blank=True, db_default="")
    """Of a GitHub account its number there, of a factor the name that its app gave it; empty for the others."""
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.CURRENT)
    since = models.DateTimeField(_("confirmed"), db_default=Now())
    added_in = models.UUIDField(_("added in the session of this sign-in"), null=True)
    removed_at = models.DateTimeField(_("removed"), null=True)
    removed_in = models.UUIDField(_("removed in the session of this sign-in"), null=True)
    backing = models.CharField(
        _("proved by"), max_length=8, choices=Backing, default=Backing.NONE, db_default=Backing.NONE
    )
    sealed = models.JSONField(_("what restores it"), default=dict, db_default={})
    """What a held or leaving entry is restored from: written and read by `register_factor`'s functions alone."""

    reminded = models.PositiveSmallIntegerField(_("reminders of its removal"), default=0, db_default=0)

    objects = CredentialQuerySet.as_manager()

    class Meta:
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")
        indexes = [
            models.Index(fields=["user", "address"], name="credential_user_address"),
            models.Index(
                fields=["removed_at"], name="credential_ending", condition=models.Q(state__in=["held", "leaving"])
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "kind", "address", "reference"],
                condition=models.Q(state="current"),
                name="one_current_credential",
            )
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.kind} {self.state}"

    @property
    def has_power(self) -> bool:
        """Whether a link that was mailed to this address may still act for the account."""
        return self.state in (Credential.State.CURRENT, Credential.State.LEAVING)


FINAL_BACKINGS = (Credential.Backing.FACTOR, Credential.Backing.OPERATOR)
"""What proves a change so that no dispute undoes it."""


@dataclass(frozen=True)
class Circumstances:
    """In which session a change was made, and what proved it to be the owner's."""

    sign_in: UUID | None = None
    backing: Credential.Backing = Credential.Backing.NONE


Assessor = Callable[[HttpRequest, User], Circumstances]
_assessors: list[Assessor] = []


def register_assessor(assess: Assessor) -> None:
    """Register the function that returns a change's session and proof; called from an app's `ready()`."""
    _assessors[:] = [assess]


def circumstances(user: User, request: HttpRequest | None = None) -> Circumstances:
    """Return the circumstances of a change by `request`, or by the request that is being served, if any."""
    acting = request or context.request
    if acting is None or not hasattr(acting, "session"):
        return Circumstances()
    return next((assess(acting, user) for assess in _assessors), Circumstances())


def close_expired(user_id: int) -> None:
    """End the power of what was removed, or held, UNDO_DAYS ago."""
    Credential.objects.filter(user_id=user_id).expired().end_power()


def undo_until(at: datetime) -> datetime:
    """Return until when a link of an event of the time `at` is valid."""
    return at + timedelta(days=UNDO_DAYS)
