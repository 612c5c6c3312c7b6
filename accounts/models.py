"""People and their sign-ins."""

import uuid

from django.contrib.auth.models import AbstractUser
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts import devices

LANGUAGES = [("mn", "Монгол"), ("en", "English")]


class User(AbstractUser):
    """An account. Empty language or zone: the person has not chosen one."""

    language = models.CharField(_("language"), max_length=8, blank=True, choices=LANGUAGES)
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True)
    notify_sign_ins = models.BooleanField(
        _("mail at every sign-in"), default=True, help_text=_("Sign-ins from a new device are always told.")
    )

    class Meta(AbstractUser.Meta):
        verbose_name = _("account")  # type: ignore[assignment]
        verbose_name_plural = _("accounts")  # type: ignore[assignment]


class Notice(models.TextChoices):
    """What became of the notice of a sign-in, as far as the sign-in itself knew; the rest is in its job."""

    QUEUED = "queued", _("on its way")
    OWED = "owed", _("will be sent when the queue is back")
    LIMITED = "limited", _("not sent: too many in an hour")
    OPTED_OUT = "opted_out", _("not sent: turned off")
    NO_ADDRESS = "no_address", _("not sent: the account has no address")
    UNVERIFIED = "unverified", _("not sent: the address is not confirmed")


class SignIn(models.Model):
    """One sign-in, written once, in the transaction of the sign-in; the outbox of its notice."""

    class Method(models.TextChoices):
        PASSWORD = "password", _("password")
        GITHUB = "github", "GitHub"
        ADMIN = "admin", _("administration")
        CODE = "code", _("by the site itself")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="sign_ins", verbose_name=_("account"))
    at = models.DateTimeField(_("at"), db_default=Now())
    method = models.CharField(_("way"), max_length=32, choices=Method)
    ip = models.GenericIPAddressField(_("IP address"), null=True)
    browser = models.CharField(_("browser"), max_length=64, blank=True)
    system = models.CharField(_("system"), max_length=64, blank=True)
    language = models.CharField(_("language"), max_length=8)
    time_zone = models.CharField(_("time zone"), max_length=64)
    email = models.EmailField(_("address told"), blank=True)
    new_device = models.BooleanField(_("new device"), default=False)
    more_sign_ins = models.PositiveIntegerField(_("untold before it"), default=0)
    notice = models.CharField(_("notice"), max_length=16, choices=Notice, default=Notice.QUEUED)
    disputed_at = models.DateTimeField(_("disputed"), null=True)
    dispute_owed = models.BooleanField(_("mails of the dispute are owed"), default=False)

    class Meta:
        verbose_name = _("sign-in")
        verbose_name_plural = _("sign-ins")
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["user", "-at"], name="signin_user_at"),
            models.Index(fields=["at"], name="signin_owed", condition=models.Q(notice="owed")),
            models.Index(fields=["disputed_at"], name="signin_dispute_owed", condition=models.Q(dispute_owed=True)),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def job_id(self) -> str:
        """The idempotency key of its notice: one sign-in, one job, however often it is enqueued."""
        return f"signin-{self.id}"


class Device(models.Model):
    """A browser on a system from which a person has signed in: the families alone, no version and no address."""

    user = models.ForeignKey(User, models.CASCADE, related_name="devices", verbose_name=_("account"))
    browser = models.CharField(_("browser"), max_length=64, blank=True)
    system = models.CharField(_("system"), max_length=64, blank=True)
    first_at = models.DateTimeField(_("first sign-in"), db_default=Now())
    last_at = models.DateTimeField(_("last sign-in"), db_default=Now())

    class Meta:
        verbose_name = _("known device")
        verbose_name_plural = _("known devices")
        ordering = ["-last_at"]
        constraints = [models.UniqueConstraint(fields=["user", "browser", "system"], name="one_row_a_device")]

    def __str__(self) -> str:
        return devices.in_words(self.browser, self.system)


class Session(AbstractBaseSession):
    """A browser session that knows whose it is and which sign-in began it, so that it can be ended from elsewhere."""

    user_id = models.BigIntegerField(null=True, db_index=True)
    sign_in = models.UUIDField(null=True, db_index=True)

    class Meta(AbstractBaseSession.Meta):
        db_table = "account_sessions"

    @classmethod
    def get_session_store_class(cls) -> type[SessionBase]:
        from accounts.sessions import SessionStore

        return SessionStore
