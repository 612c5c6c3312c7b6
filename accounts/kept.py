"""What is kept of a person: deleted when it is old, told when they ask."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from accounts import own_address
from accounts.models import Device, Notice, Session, SignIn, User
from accounts.undeliverable import Undeliverable
from jobs import retention

CHUNK = 1_000
PROFILE = ("username", "email", "first_name", "last_name", "date_joined", "last_login", "language", "time_zone")
UNDELIVERABLE = ("masked", "why", "code", "told_by", "since", "until", "times", "lifted_at")
SIGN_IN = ("id", "at", "method", "ip", "browser", "system", "email", "new_device", "notice", "disputed_at")


def prune(dry_run: bool) -> dict[str, int]:
    """Sign-ins and devices older than RETENTION_DAYS_SIGN_INS, sessions that have expired, and undeliverable addresses
    that hold nothing back any more for RETENTION_DAYS_PAYLOAD; how many."""
    before, over = retention.ago(settings.RETENTION_DAYS_SIGN_INS), retention.ago(settings.RETENTION_DAYS_PAYLOAD)
    old: dict[str, QuerySet[Any]] = {
        "sign-ins deleted": SignIn.objects.filter(at__lt=before, dispute_owed=False).exclude(notice=Notice.OWED),
        "devices deleted": Device.objects.filter(last_at__lt=before),
        "sessions deleted": Session.objects.filter(expire_date__lt=Now()),
        "undeliverable addresses deleted": Undeliverable.objects.filter(
            Q(until__lt=over) | Q(lifted_at__lt=over, lifted_at__gte=F("since"))
        ),
    }
    return {name: rows.count() if dry_run else _delete(rows) for name, rows in old.items()}


def _delete(rows: QuerySet[Any]) -> int:
    """Chunk by chunk, each committed alone."""
    done = 0
    while chunk := list(rows.order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        done += rows.filter(pk__in=chunk).delete()[0]
    return done


def export(user: User) -> dict[str, Any]:
    """All that the site keeps of a person, dates as they are. No password, no session key."""
    return {
        "account": {name: getattr(user, name) for name in (*PROFILE, "notify_sign_ins")},
        "addresses": list(EmailAddress.objects.filter(user=user).values("email", "verified", "primary")),
        "connections": list(SocialAccount.objects.filter(user=user).values("provider", "uid", "date_joined")),
        "signIns": list(SignIn.objects.filter(user=user).order_by("at").values(*SIGN_IN)),
        "undeliverable": list(Undeliverable.objects.of(own_address.addresses(user)).values(*UNDELIVERABLE)),
        "devices": list(user.devices.values("browser", "system", "first_at", "last_at")),
        "sessions": list(Session.objects.filter(user_id=user.pk).values("expire_date", "sign_in")),
        "jobs": retention.of_user(str(user.pk), source="signal"),
    }
