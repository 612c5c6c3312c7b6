"""Keys of the HTTP API: shown once, stored as a hash, looked up by their prefix.

A key is `nk_<prefix>_<secret>`. The secret has 256 random bits, so a plain SHA-256 protects it: a slow hash protects
guessable secrets, and this one cannot be guessed. The prefix identifies the key in the admin and in the logs.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, models, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.sites.site import Site
from accounts.sites.validators import check_slug
from accounts.user import User
from jobs.core import audit
from jobs.core.job import THIS_SITE
from jobs.core.sql import variants

KEY_TOKEN = re.compile(r"nk_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
NO_DIGEST = "0" * 64  # compared with when the key is unknown: the same work for every refusal
LAST_USED_PRECISION = timedelta(minutes=1)  # of "last used"
WARN_BEFORE = timedelta(days=2)  # of the email about a key that ends while it is in use
STILL_USED = timedelta(days=1)
OVERLAP = timedelta(days=7)  # for which a key that is rotated stays valid, unless the operator says otherwise
LONGEST_OVERLAP = timedelta(days=90)


class Scope(models.TextChoices):
    """What a key allows."""

    ENQUEUE = "enqueue", _("enqueue notices")
    READ = "read", _("read its own jobs")
    ADMIN = "admin", _("read every job, replay and discard dead letters")


class Purpose(models.TextChoices):
    """What a key is for: the scopes that are usual together."""

    SEND = "send", _("send notices")
    READ = "read", _("read")
    OPERATE = "operate", _("operate")

    @property
    def scopes(self) -> list[str]:
        """Return the scopes of a key for it."""
        return [*SCOPES[self]]

    @property
    def explanation(self) -> Promise:
        """Return what such a key can do."""
        return EXPLANATIONS[self]


SCOPES = {
    Purpose.SEND: (Scope.ENQUEUE, Scope.READ),
    Purpose.READ: (Scope.READ,),
    Purpose.OPERATE: (Scope.READ, Scope.ADMIN),
}
EXPLANATIONS = {
    Purpose.SEND: _(
        "Post sign-ins, cancel notices that still wait, and read the status of both. For the site's server."
    ),
    Purpose.READ: _("Read the status of the site's own notices, and nothing else. For a dashboard or a monitor."),
    Purpose.OPERATE: _(
        "Read the jobs of every site, replay and discard dead letters, manage the site's event endpoints, and erase "
        "its users. For operators' own programs: such a key never belongs on the server of another site."
    ),
}


def check_scopes(value: Any) -> None:
    """Check that there is at least one scope and no unknown one. Raise ValidationError."""
    if not isinstance(value, list) or not value or not set(value) <= set(Scope.values):
        raise ValidationError(_("Choose at least one scope."), code="scopes")


FIND = "api_keys_with_site(%s)"  # a function of accounts/migrations, planned once for each session
KEPT = 1_000  # keys, in the memory of a process


@lru_cache(KEPT)
def _make(rows: str) -> "ApiKey":
    """Return the key and the site of their rows as JSON: the same objects for the same rows, so change neither."""
    key, site = json.loads(rows)
    made = _from_row(ApiKey, key)
    made.site = _from_row(Site, site)
    return made


def _from_row(model: type[models.Model], row: dict[str, Any]) -> Any:
    fields = model._meta.concrete_fields
    values = [field.to_python(row[str(field.column)]) for field in fields]
    return model.from_db(connection.alias, [field.attname for field in fields], values)


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Keys by whether they can be used."""

    def usable(self) -> "ApiKeyQuerySet":
        """Return the keys that are neither revoked nor expired."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), revoked_at=None)

    def ending(self) -> "ApiKeyQuerySet":
        """Return the keys that end within WARN_BEFORE while a client still uses them, and whose site has no warning."""
        soon = self.usable().filter(expires_at__lt=Now() + WARN_BEFORE, warned_at=None)
        return soon.filter(last_used_at__gt=Now() - STILL_USED)

    def find(self, token: str) -> "ApiKey | None":
        """Return the usable key with this token, else None; both cost the same work."""
        shape = KEY_TOKEN.fullmatch(token)
        key = self._with_prefix(shape[1] if shape else "")
        same = hmac.compare_digest(digest(token), key.digest if key else NO_DIGEST)
        return key if key and same and key.usable else None

    def _with_prefix(self, prefix: str) -> "ApiKey | None":
        """Return the key with its site."""
        found: ApiKey | None = variants.call(
            FIND, [prefix], _make, otherwise=lambda: self.select_related("site").filter(prefix=prefix).first()
        )
        return found

    def make(
        self,
        name: str,
        scopes: Iterable[str],
        *,
        who: str,
        expires_at: datetime | None = None,
        made_by: User | None = None,
        site: Site | None = None,
    ) -> str:
        """Create a key and return its token, which cannot be read again. Raise ValidationError.

        site: None for the one whose slug is `name`, which is created if there is none.
        """
        prefix = secrets.token_hex(6)
        token = f"nk_{prefix}_{secrets.token_urlsafe(32)}"
        chosen = [scope for scope in Scope.values if scope in set(scopes)]
        key = ApiKey(name=name, scopes=chosen, prefix=prefix, digest=digest(token), expires_at=expires_at)
        key.made_by = made_by
        with transaction.atomic():
            key.site = site or Site.objects.find_or_make(name, who=who)
            key.full_clean()
            key.save(force_insert=True)
            audit.record(who, audit.AuditEntry.Act.CREATE_KEY, str(key), scopes=chosen)
        return token


class ApiKey(models.Model):
    """One key of a site. A site may have several, so a client can change its key without a gap."""

    site = models.ForeignKey(Site, models.PROTECT, related_name="keys", verbose_name=_("site"))
    name = models.CharField(_("name"), max_length=64, validators=[check_slug])
    prefix = models.CharField(_("prefix"), max_length=12, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(_("scopes"), default=list, validators=[check_scopes])
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)
    made_by = models.ForeignKey(User, models.SET_NULL, null=True, editable=False, verbose_name=_("made by"))
    replaced_by = models.ForeignKey(
        "self", models.SET_NULL, null=True, editable=False, related_name="+", verbose_name=_("replaced by")
    )
    """The key that a rotation made; this one ends at `expires_at`."""
    warned_at = models.DateTimeField(null=True, editable=False)
    """When the support of its site was emailed that it ends while it is in use."""

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        db_table = "api_keys"
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["-id"]
        permissions = [("revoke_apikey", "Can revoke API keys")]

    def __str__(self) -> str:
        return f"{self.name} ({self.start})"

    def clean(self) -> None:
        """Refuse a key of this site, whose jobs no client enqueues."""
        if self.site_id and self.site.slug == THIS_SITE:
            raise ValidationError(_("Choose another site: this one needs no key."), code="site")

    @property
    def start(self) -> str:
        """Return what operators and sites know the key by: the start of its token, which is not secret."""
        return f"nk_{self.prefix}_…"

    @property
    def usable(self) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())

    @property
    def may_rotate(self) -> bool:
        """Return whether a rotation can replace the key: once, while it is valid."""
        return self.usable and self.replaced_by_id is None

    def used(self) -> None:
        """Update the time of the last use, at most once a minute."""
        if self.last_used_at is None or self.last_used_at < timezone.now() - LAST_USED_PRECISION:
            ApiKey.objects.filter(pk=self.pk).update(last_used_at=Now())

    def rotate(
        self, *, who: str, ends_at: datetime, expires_at: datetime | None = None, made_by: User | None = None
    ) -> str:
        """Create the successor of this key, which ends at `ends_at`; return the new token. Raise ValidationError.

        The new key has the same site, name and scopes. expires_at: of the new key; None for never.
        """
        with transaction.atomic():
            old = ApiKey.objects.select_for_update(of=("self",)).select_related("site").get(pk=self.pk)
            if not old.may_rotate:
                raise ValidationError(_("This key is not valid any more, or was rotated before."), code="rotated")
            token = ApiKey.objects.make(
                old.name, old.scopes, who=who, expires_at=expires_at, made_by=made_by, site=old.site
            )
            new = ApiKey.objects.only("prefix").get(prefix=token.split("_")[1])
            old.expires_at = min(filter(None, (old.expires_at, ends_at)))
            old.replaced_by, old.warned_at = new, None
            old.save(update_fields=["expires_at", "replaced_by", "warned_at"])
            detail = {"new": new.start, "ends": old.expires_at.isoformat(timespec="minutes")}
            audit.record(who, audit.AuditEntry.Act.ROTATE_KEY, str(old), **detail)
        return token

    def revoke(self, *, who: str) -> bool:
        """Revoke the key; False when it was revoked before."""
        with transaction.atomic():
            revoked = ApiKey.objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=Now())
            if revoked:
                # The key before it can be rotated again; its site was notified of a successor that cannot be used now.
                ApiKey.objects.filter(replaced_by=self.pk).update(replaced_by=None, warned_at=None)
                audit.record(who, audit.AuditEntry.Act.REVOKE_KEY, str(self))
        return bool(revoked)


def revoke_made_since(user: User, start: datetime, **_: Any) -> None:
    """Revoke the keys that an account made since `start`. Receiver of the signal that it was closed by a dispute."""
    for key in ApiKey.objects.usable().filter(made_by=user, created_at__gte=start):
        key.revoke(who="dispute")


def digest(token: str) -> str:
    """Return the hash that is stored for a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
