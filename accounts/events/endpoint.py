"""Event endpoints: the URLs of other sites that get signed events, with their secrets and their state."""

from datetime import timedelta
from typing import Any, Self
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.events import signature
from accounts.events.guard import LONGEST_URL, check_url
from accounts.secrecy import vault
from jobs.core import audit
from jobs.core.job import THIS_SITE
from jobs.core.sql import from_now

FORMER_SECRET_HOURS = 24  # after a rotation, in which events have two signatures
GIVE_UP = timedelta(days=5)  # without success, after which an endpoint is turned off
TOO_MANY = "too-many"
MOST_OF_A_SITE = 20  # endpoints: each event is a job for each of them


class EventType(models.TextChoices):
    """What an event reports. The values are sent and stored."""

    DISPUTED = "sign_in.disputed", _("a user reported a sign-in")
    DELIVERED = "notice.delivered", _("a notice was delivered")
    FAILED = "notice.failed", _("a notice failed")
    SUPPRESSED = "notice.suppressed", _("a notice was suppressed")
    PING = "ping", _("a test")


CHOSEN_TYPES = [kind for kind in EventType.values if kind != EventType.PING]  # a ping goes where it is asked for


class OffReason(models.TextChoices):
    """Why an endpoint is off; "" while it is on."""

    ASKED = "asked", _("turned off by its site or an operator")
    GONE = "gone", _("the receiver answered 410 Gone")
    FAILING = "failing", _("five days without success")


def check_types(value: Any) -> None:
    """Check a list of event types; an empty one means all. Raise ValidationError."""
    if not isinstance(value, list) or not set(map(str, value)) <= set(CHOSEN_TYPES):
        raise ValidationError(_("Choose from: %(known)s.") % {"known": ", ".join(CHOSEN_TYPES)}, code="types")


class EventEndpointQuerySet(models.QuerySet["EventEndpoint"]):
    """Endpoints by their state, and the changes of many."""

    def on(self) -> Self:
        """Return the endpoints that get events."""
        return self.filter(off_reason="")

    def just_turned_off(self) -> Self:
        """Return the endpoints that were turned off automatically within a day."""
        automatic = [OffReason.GONE, OffReason.FAILING]
        return self.filter(off_reason__in=automatic, off_at__gt=Now() - timedelta(days=1))

    def make(self, site: Any, url: str, types: list[str], *, who: str) -> tuple["EventEndpoint", str]:
        """Create an endpoint of another site; return it and its secret. Raise ValidationError."""
        secret = signature.new_secret()
        chosen = sorted(set(types))
        endpoint = EventEndpoint(site=site, url=url, types=chosen, secret=vault.encrypt(secret), made_by=who[:150])
        endpoint.full_clean()
        with transaction.atomic():
            endpoint.save(force_insert=True)
            audit.record(who, audit.AuditEntry.Act.CREATE_ENDPOINT, endpoint.audit_name)
        return endpoint, secret

    def reencrypt(self) -> tuple[int, int]:
        """Encrypt all secrets again with the present key.

        Return how many endpoints that changed, and how many have a secret that no key of the settings can read.
        """
        results = [_reencrypt(pk) for pk in self.values_list("pk", flat=True)]
        return results.count(True), results.count(False)


class EventEndpoint(models.Model):
    """A URL of another site that gets its events."""

    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="endpoints", verbose_name=_("site"))
    url = models.CharField(_("URL"), max_length=LONGEST_URL, validators=[check_url])
    types = models.JSONField(_("types"), default=list, blank=True, validators=[check_types])
    """Of the events that it gets; [] for all."""
    secret = models.TextField(editable=False)
    former_secret = models.TextField(blank=True, default="", editable=False)
    """Both encrypted (accounts/secrecy/vault.py)."""
    former_until = models.DateTimeField(_("former secret valid until"), null=True, editable=False)
    off_reason = models.CharField(_("off because"), max_length=16, choices=OffReason, blank=True, default="")
    off_at = models.DateTimeField(_("off since"), null=True, editable=False)
    failing_since = models.DateTimeField(_("failing since"), null=True, editable=False)
    """The first failure after the last success."""
    last_failure_at = models.DateTimeField(_("last failure"), null=True, editable=False)
    last_success_at = models.DateTimeField(_("last success"), null=True, editable=False)
    waking = models.BooleanField(default=False, editable=False)
    """Whether events that waited for the end of an outage are still to be made due."""
    replaying_since = models.DateTimeField(null=True, editable=False)
    """The events that failed from then until `replaying_before` are to be sent again; None when that is done."""
    replaying_before = models.DateTimeField(null=True, editable=False)
    made_by = models.CharField(_("made by"), max_length=150, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    objects = EventEndpointQuerySet.as_manager()

    class Meta:
        verbose_name = _("event endpoint")
        verbose_name_plural = _("event endpoints")
        ordering = ["pk"]
        default_permissions = ("add", "change", "view")
        indexes = [
            models.Index(fields=["id"], name="endpoint_waking", condition=Q(waking=True)),
            models.Index(fields=["id"], name="endpoint_replaying", condition=Q(replaying_since__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.site_id}/{self.pk}"  # the URL may hold a token

    def clean(self) -> None:
        """Check a new endpoint's site: another one than this, with room for one more. Raise ValidationError."""
        if self.pk or not self.site_id:
            return
        if self.site.slug == THIS_SITE:
            raise ValidationError(_("This site has no events: they are for the sites that call the API."))
        if EventEndpoint.objects.filter(site=self.site_id).count() >= MOST_OF_A_SITE:
            most = _("A site has at most %(most)d event endpoints.") % {"most": MOST_OF_A_SITE}
            raise ValidationError(most, code=TOO_MANY)

    @property
    def audit_name(self) -> str:
        """Return the name of the endpoint in the audit."""
        return f"{self.site.slug}: event endpoint {self.pk}"

    @property
    def host(self) -> str:
        """Return the host of its URL, which may be shown: the rest may hold a token."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_on(self) -> bool:
        """Return whether it gets events."""
        return self.off_reason == ""

    @property
    def state(self) -> str:
        """Return "on", "failing" (on, and its last attempt failed) or "off"."""
        return "off" if self.off_reason else "failing" if self.failing_since else "on"

    def wants(self, event_type: str) -> bool:
        """Return whether it gets events of this type."""
        return not self.types or event_type in self.types

    def secrets(self) -> list[str]:
        """Return the secrets that sign now: the present one, and for a day the former one. Raise vault.Unreadable."""
        former = self.former_until is not None and self.former_until > timezone.now()
        return [vault.decrypt(sealed) for sealed in (self.secret, *([self.former_secret] if former else []))]

    def rotate(self, *, who: str) -> str:
        """Give the endpoint a new secret and return it; the former one signs too, for a day."""
        secret = signature.new_secret()
        with transaction.atomic():
            locked = EventEndpoint.objects.select_for_update().get(pk=self.pk)
            values = {"secret": vault.encrypt(secret), "former_secret": locked.secret}
            changed = EventEndpoint.objects.filter(pk=self.pk)
            changed.update(**values, former_until=from_now(FORMER_SECRET_HOURS * 3600))
            audit.record(who, audit.AuditEntry.Act.CHANGE_ENDPOINT, self.audit_name, change="secret rotated")
        self.refresh_from_db()
        return secret

    def change(
        self, *, who: str, url: str | None = None, types: list[str] | None = None, on: bool | None = None
    ) -> None:
        """Change what is given. Raise ValidationError, and then change nothing.

        Events that wait are tried again soon when the endpoint is turned on or gets another URL.
        """
        before = {"url": self.url, "types": self.types, "on": self.is_on}
        given = {"url": url or None, "types": None if types is None else sorted(set(types)), "on": on}
        after = {name: value for name, value in given.items() if value is not None and value != before[name]}
        self._check(after)
        if not after:
            return
        values: dict[str, Any] = {name: value for name, value in after.items() if name != "on"}
        if "on" in after:
            values |= {"off_reason": "", "off_at": None} if on else {"off_reason": OffReason.ASKED, "off_at": Now()}
        if "url" in after or after.get("on"):
            values |= {"failing_since": None, "waking": True}
        with transaction.atomic():
            EventEndpoint.objects.filter(pk=self.pk).update(**values)
            audit.record(who, audit.AuditEntry.Act.CHANGE_ENDPOINT, self.audit_name, changed=sorted(after))
        self.refresh_from_db()

    def _check(self, values: dict[str, Any]) -> None:
        """Check new values as the form of the model does. Raise ValidationError."""
        checked = EventEndpoint(site=self.site, url=values.get("url", self.url), types=values.get("types", self.types))
        checked.clean_fields(exclude=["secret"])

    def remove(self, *, who: str) -> None:
        """Delete the endpoint and its history; events that wait for it are discarded."""
        with transaction.atomic():
            audit.record(who, audit.AuditEntry.Act.CHANGE_ENDPOINT, self.audit_name, change="deleted")
            self.delete()

    def note_success(self) -> bool:
        """Record a success; True when it ended an outage."""
        mine = EventEndpoint.objects.filter(pk=self.pk)
        recovered = mine.filter(failing_since__isnull=False).update(failing_since=None, waking=True)
        mine.update(last_success_at=Now())
        return bool(recovered)

    def note_failure(self) -> None:
        """Record a failure; the first one after a success begins an outage, in which no waiting event is made due."""
        begun = Coalesce("failing_since", Now())
        EventEndpoint.objects.filter(pk=self.pk).update(last_failure_at=Now(), failing_since=begun, waking=False)

    def turn_off(self, reason: str) -> bool:
        """Turn the endpoint off; False when it was off, or when FAILING was wrong: it has not failed for that long."""
        mine = EventEndpoint.objects.on().filter(pk=self.pk)
        if reason == OffReason.FAILING:
            mine = mine.filter(failing_since__lt=Now() - GIVE_UP)
        return bool(mine.update(off_reason=reason, off_at=Now()))


@transaction.atomic
def _reencrypt(pk: int) -> bool | None:
    """Encrypt the secrets of one endpoint again; False when no key can read them, None when nothing was to be done."""
    row = EventEndpoint.objects.select_for_update().filter(pk=pk).first()
    if row is None:
        return None
    sealed = {"secret": row.secret, "former_secret": row.former_secret}
    try:
        fresh = {name: vault.reencrypt(value) for name, value in sealed.items() if value}
    except vault.Unreadable:
        return False
    EventEndpoint.objects.filter(pk=pk).update(**fresh)
    return True
