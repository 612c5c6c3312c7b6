"""Keys of the HTTP API: made once, shown once, kept as a hash, found by their prefix.

A key is `nk_<prefix>_<secret>`. The secret has 256 random bits, so a plain SHA-256 keeps it safe: a slow hash guards
guessable secrets, and this one cannot be guessed. The prefix says which key it is, in the admin and in the logs.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs import audit

TOKEN = re.compile(r"nk_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
NAME = r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}\Z"
RESERVED = "signal"  # the source of this site's own jobs
NOBODY = "0" * 64  # compared with when there is no such key: the same work for every refusal
REMEMBER = timedelta(minutes=1)  # how exact "last used" is


class Scope(models.TextChoices):
    ENQUEUE = "enqueue", _("enqueue notices")
    READ = "read", _("read its own jobs")
    ADMIN = "admin", _("read every job, replay and discard dead letters")


def check_name(value: str) -> None:
    """A key's name is the source of its jobs. Raises ValidationError."""
    if not re.match(NAME, value) or value == RESERVED:
        raise ValidationError(
            _("Use 1 to 64 of A-Z, a-z, 0-9, space, dot, hyphen and underscore, and not “signal”."), code="name"
        )


def check_scopes(value: Any) -> None:
    """One scope at least, and none that there is not. Raises ValidationError."""
    if not isinstance(value, list) or not value or not set(value) <= set(Scope.values):
        raise ValidationError(_("Choose at least one scope."), code="scopes")


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self) -> "ApiKeyQuerySet":
        """Keys that are neither revoked nor expired."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), revoked_at=None)

    def find(self, token: str) -> "ApiKey | None":
        """The usable key that `token` is; None, after the same work, when it is wrong, unknown, revoked or expired."""
        shape = TOKEN.fullmatch(token)
        key = self.filter(prefix=shape[1] if shape else "").first()
        same = hmac.compare_digest(digest(token), key.digest if key else NOBODY)
        return key if key and same and key.usable else None

    def make(self, name: str, scopes: Iterable[str], *, who: str, expires_at: datetime | None = None) -> str:
        """Writes a new key and returns it: nobody can see it again. Raises ValidationError."""
        prefix = secrets.token_hex(6)
        token = f"nk_{prefix}_{secrets.token_urlsafe(32)}"
        chosen = [scope for scope in Scope.values if scope in set(scopes)]
        key = ApiKey(name=name, scopes=chosen, prefix=prefix, digest=digest(token), expires_at=expires_at)
        key.full_clean()
        with transaction.atomic():
            key.save(force_insert=True)
            audit.record(who, audit.AuditEntry.Act.CREATE_KEY, str(key), scopes=chosen)
        return token


class ApiKey(models.Model):
    """One key. Several keys may have one name: they are the same source, so a key can be changed without a gap."""

    name = models.CharField(_("name"), max_length=64, validators=[check_name])
    prefix = models.CharField(_("prefix"), max_length=12, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(_("scopes"), default=list, validators=[check_scopes])
    created_at = models.DateTimeField(_("made"), db_default=Now(), editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        db_table = "api_keys"
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["-id"]
        permissions = [("revoke_apikey", "Can revoke API keys")]

    def __str__(self) -> str:
        return f"{self.name} (nk_{self.prefix}_…)"

    @property
    def usable(self) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())

    def used(self) -> None:
        """Remembers that it was used; writes once a minute at most."""
        if self.last_used_at is None or self.last_used_at < timezone.now() - REMEMBER:
            ApiKey.objects.filter(pk=self.pk).update(last_used_at=Now())

    def revoke(self, *, who: str) -> bool:
        """From now on nobody gets in with it; False when it was revoked before."""
        with transaction.atomic():
            revoked = ApiKey.objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=Now())
            if revoked:
                audit.record(who, audit.AuditEntry.Act.REVOKE_KEY, str(self))
        return bool(revoked)


def digest(token: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
