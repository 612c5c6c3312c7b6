"""What a user is emailed about and can dispute: a sign-in, with the outbox of its notice, and a change."""

import uuid
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from django.db import connection, models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.credentials import Credential
from accounts.mail import content
from accounts.user import User
from jobs.core import sql

NULL: dict[str, Any] = {"null": True}
"""Of a user that sign-ins of this site always have, and of a site that others always have: code asks for the one that
is there, so the type checker is not shown that it may be missing."""


class NoticeStatus(models.TextChoices):
    """The state of a notice when the sign-in was recorded.

    Its job has the later states.
    """

    QUEUED = "queued", _("on its way")
    PENDING = "pending", _("will be sent when the queue recovers")
    LIMITED = "limited", _("not sent: too many in an hour")
    OPTED_OUT = "opted_out", _("not sent: turned off")
    NO_ADDRESS = "no_address", _("not sent: the account has no address")
    DIGEST = "digest", _("in a summary email: too many in an hour")
    UNVERIFIED = "unverified", _("not sent: the address is not confirmed")


class Disputable(models.Model):
    """What a link "This wasn't me" may name. Its links are judged when they are opened."""

    disputed_at = models.DateTimeField(_("disputed"), null=True)
    disputed_by = models.ForeignKey(
        Credential, models.SET_NULL, null=True, related_name="+", verbose_name=_("disputed by the address")
    )
    closed_since = models.DateTimeField(_("closed for addresses confirmed since"), null=True)
    """The age of the oldest address that disputed this or an earlier event: links to younger addresses are void."""
    dispute_pending = models.BooleanField(_("emails of the dispute are pending"), default=False)

    if TYPE_CHECKING:
        id: models.UUIDField
        user: models.ForeignKey
        at: models.DateTimeField

    class Meta:
        abstract = True

    def is_closed_for(self, since: datetime) -> bool:
        """Return whether an address confirmed at `since` can no longer dispute this."""
        return self.closed_since is not None and since >= self.closed_since


class SignIn(Disputable):
    """One sign-in, written once: of this site in the transaction that signs the user in, of another when it is posted.

    It belongs to `user`, or to the user `user_key` of another `site`.
    """

    class Method(models.TextChoices):
        PASSWORD = "password", _("password")
        GITHUB = "github", "GitHub"
        PASSKEY = "passkey", _("passkey")
        ADMIN = "admin", _("administration")
        CODE = "code", _("started by the site")

    class SecondFactor(models.TextChoices):
        """What was asked for after the password or GitHub."""

        CODE = "code", _("code")
        PASSKEY = "passkey", _("passkey")
        RECOVERY_CODE = "recovery_code", _("recovery code")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="sign_ins", verbose_name=_("account"), **NULL)
    site = models.ForeignKey(
        "accounts.Site", models.CASCADE, db_index=False, related_name="+", verbose_name=_("site"), **NULL
    )
    """The other site that it was on; None for this one."""
    user_key = models.CharField(_("user of the site"), max_length=128, blank=True, default="", db_default="")
    """The id of the user at that site; "" for this one."""
    site_job = models.CharField(_("job"), max_length=200, blank=True, default="", db_default="")
    """The job of the notice, for another site."""
    at = models.DateTimeField(_("at"), db_default=Now())
    method = models.CharField(_("method"), max_length=64, choices=Method)
    second_factor = models.CharField(_("second factor"), max_length=16, choices=SecondFactor, blank=True, db_default="")
    ip = models.GenericIPAddressField(_("IP address"), null=True)
    network = models.CharField(max_length=32, blank=True, default="", db_default="", editable=False)
    """The keyed hash of its network (networks.py), by which a later sign-in from there is recognised."""
    country = models.CharField(_("country"), max_length=2, blank=True, default="", db_default="")
    browser = models.CharField(_("browser"), max_length=64, blank=True)
    system = models.CharField(_("system"), max_length=64, blank=True)
    language = models.CharField(_("language"), max_length=8)
    time_zone = models.CharField(_("time zone"), max_length=64)
    email = models.EmailField(_("notified address"), blank=True)
    new_device = models.BooleanField(_("new device"), default=False)
    signals = models.JSONField(_("unusual"), default=dict, db_default=models.Value({}, models.JSONField()))
    """What was unusual about it, and the detail of each (risk.py)."""
    more_sign_ins = models.PositiveIntegerField(_("earlier sign-ins without a notice"), default=0)
    notice = models.CharField(_("notice"), max_length=16, choices=NoticeStatus, default=NoticeStatus.QUEUED)
    vouched = models.BooleanField(_("from a browser known for a week"), default=False)
    made_with = models.CharField(_("made with"), max_length=255, blank=True, default="", db_default="")
    """The reference of the GitHub account or passkey that made it; empty for a password."""

    class Meta:
        verbose_name = _("sign-in")
        verbose_name_plural = _("sign-ins")
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["user", "-at"], name="signin_user_at"),
            models.Index(fields=["-at"], name="signin_newest"),  # the operators' list
            models.Index(
                fields=["site", "user_key", "-at"], name="signin_site_at", condition=models.Q(site__isnull=False)
            ),
            models.Index(
                fields=["site", "disputed_at"],
                name="signin_site_disputed",
                condition=models.Q(site__isnull=False, disputed_at__isnull=False),
            ),
            models.Index(fields=["at"], name="signin_pending", condition=models.Q(notice="pending")),
            models.Index(
                fields=["disputed_at"], name="signin_dispute_pending", condition=models.Q(dispute_pending=True)
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def ways(self) -> str:
        """Return how the user signed in, in words: "password and code"."""
        method = content.describe_method(self.method) if self.site_id else str(self.get_method_display())
        if not self.second_factor:
            return method
        return _("%(method)s and %(factor)s") % {"method": method, "factor": self.get_second_factor_display()}

    @property
    def is_alert(self) -> bool:
        """Return whether its notice is an alert, which nothing turns off."""
        return self.new_device or bool(self.signals)

    @property
    def reasons(self) -> list[str]:
        """Return what was unusual about it: a line for each signal, in the active language."""
        return list(content.describe_signals(self.signals, self.ip or "", self.at.isoformat()).values())

    @property
    def job_id(self) -> str:
        """Return the idempotency key of the notice: one job for each sign-in."""
        return self.site_job or f"signin-{self.id}"

    def insert(self) -> None:
        """Insert this row: what `save` does, in a third of its time."""
        values = vars(self)
        prepared = [prepare(values[name], connection) if prepare else values[name] for name, prepare in _prepared()]
        sql.execute(_insert_statement(), prepared)


@cache
def _prepared() -> list[tuple[str, Any]]:
    """Return each column's attribute, and how its value becomes the database's; None for a text, number or flag."""
    plain = (models.CharField, models.BooleanField, models.PositiveIntegerField, models.ForeignKey)
    return [
        (field.attname, None if isinstance(field, plain) else field.get_db_prep_save)
        for field in SignIn._meta.concrete_fields
    ]


@cache
def _insert_statement() -> str:
    columns = [str(field.column) for field in SignIn._meta.concrete_fields]
    places = ", ".join(["%s"] * len(columns))
    return f"INSERT INTO accounts_signin ({', '.join(columns)}) VALUES ({places})"  # noqa: S608


class AccountChange(Disputable):
    """One change of an account, by a user or by a link; every address of the account is emailed about it."""

    class What(models.TextChoices):
        PASSWORD = "password", _("The password was changed or set.")
        ADDRESS = "address", _("An email address of the account was confirmed or made primary.")
        ADDRESS_REMOVED = "address_removed", _("An email address of the account was removed.")
        GITHUB_ADDED = "github_added", _("A GitHub account was connected.")
        GITHUB_REMOVED = "github_removed", _("A GitHub account was removed.")
        FACTOR_ADDED = "factor_added", _("A second factor was added.")
        FACTOR_REMOVED = "factor_removed", _("A second factor was removed.")
        RECOVERY_CODE = (
            "recovery_code_used",
            _("A recovery code was used in place of a passkey or an authenticator app."),
        )
        NAME = "name", _("The name of the account was changed.")
        LANGUAGE = "language", _("The language was changed.")
        NOTICES = "notices", _("Emails about sign-ins were turned off.")
        RECOVERED = "recovered", _("A new password was set with a link that we sent by email.")
        RESTORED = "restored", _("Something that a report had switched off was switched on again.")
        REPORTED = (
            "reported",
            _("Someone reported that a sign-in or a change was not theirs: the account was protected."),
        )
        STRANGER_OUT = "stranger_out", _("A sign-in was reported from inside the account: other sessions have ended.")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="changes", verbose_name=_("account"))
    at = models.DateTimeField(_("at"), db_default=Now())
    what = models.CharField(_("what"), max_length=32, choices=What)
    sign_in = models.UUIDField(_("made in the session of this sign-in"), null=True)
    credential = models.ForeignKey(
        Credential, models.SET_NULL, null=True, related_name="+", verbose_name=_("what was changed")
    )

    class Meta:
        verbose_name = _("change of an account")
        verbose_name_plural = _("changes of accounts")
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["user", "-at"], name="change_user_at"),
            models.Index(
                fields=["disputed_at"], name="change_dispute_pending", condition=models.Q(dispute_pending=True)
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def job_id(self) -> str:
        """Return the prefix of the idempotency keys of its emails."""
        return f"change-{self.id}"
