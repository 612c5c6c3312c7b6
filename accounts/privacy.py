"""Personal data: deleted after the retention time, exported on request."""

import json
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Lower, Now

from accounts.credentials import Credential
from accounts.events.delivery import EventDelivery
from accounts.pending.request import PendingRequest
from accounts.sign_in.event import AccountChange, NoticeStatus, SignIn
from accounts.sign_in.known_devices import Device
from accounts.sign_in.sessions import Session
from accounts.sites import api_requests
from accounts.sites.api_calls import ApiCall
from accounts.sites.api_requests import ApiRequest
from accounts.suppression import own_address
from accounts.suppression.entries import SuppressedAddress
from accounts.user import User
from jobs.core.job import THIS_SITE, JobQuerySet
from jobs.maintenance import retention

ADDRESS = Credential.Kind.ADDRESS
DELETE_CHUNK = 1_000
USER_FIELDS = ("username", "email", "first_name", "last_name", "date_joined", "last_login", "language", "time_zone")
SUPPRESSED_FIELDS = ("masked", "why", "code", "reported_by", "since", "until", "times", "reactivated_at")
SIGN_IN_FIELDS = (
    *("id", "at", "method", "second_factor", "ip", "network", "country", "browser", "system", "email"),
    *("new_device", "signals", "notice", "disputed_at"),
)
FACTOR_FIELDS = ("type", "created_at", "last_used_at")
KEEP_ADDRESS_DAYS = 90  # after its removal, so that an operator can still restore a robbed account
CREDENTIAL_FIELDS = ("state", "since", "removed_at", "backing")
CHANGE_FIELDS = ("id", "at", "what", "sign_in", "disputed_at")
REQUEST_FIELDS = ("kind", "asked_at", "due_at", "cancelled_at", "done_at", "reason", "address")


def prune(dry_run: bool) -> dict[str, int]:
    """Delete old data and return how many rows of each kind.

    With `dry_run` only count them.

    Sign-ins and devices are deleted after RETENTION_DAYS_SIGN_INS, sessions when they expire, deliveries of events
    after RETENTION_DAYS_PAYLOAD, and suppressed addresses that long after they stopped suppressing. API requests
    and their counts are deleted after seven days.
    """
    before = retention.days_ago(settings.RETENTION_DAYS_SIGN_INS)
    over = retention.days_ago(settings.RETENTION_DAYS_PAYLOAD)
    old: dict[str, QuerySet[Any]] = {
        "sign-ins deleted": SignIn.objects.filter(at__lt=before, dispute_pending=False).exclude(
            notice=NoticeStatus.PENDING
        ),
        "former addresses deleted": Credential.objects.filter(
            state=Credential.State.GONE, removed_at__lt=retention.days_ago(KEEP_ADDRESS_DAYS)
        ),
        "changes of accounts deleted": AccountChange.objects.filter(at__lt=before, dispute_pending=False),
        "settled requests deleted": PendingRequest.objects.filter(
            Q(done_at__lt=retention.days_ago(KEEP_ADDRESS_DAYS))
            | Q(cancelled_at__lt=retention.days_ago(KEEP_ADDRESS_DAYS))
        ),
        "devices deleted": Device.objects.filter(last_at__lt=before),
        "sessions deleted": Session.objects.filter(expire_date__lt=Now()),
        "deliveries of events deleted": EventDelivery.objects.filter(at__lt=over),
        "suppressed addresses deleted": SuppressedAddress.objects.filter(
            Q(until__lt=over) | Q(reactivated_at__lt=over, reactivated_at__gte=F("since"))
        ),
        "counts of API requests deleted": ApiRequest.objects.filter(
            minute__lt=retention.days_ago(api_requests.DAYS_KEPT)
        ),
        "API requests deleted": ApiCall.objects.filter(at__lt=retention.days_ago(api_requests.DAYS_KEPT)),
    }
    return {name: rows.count() if dry_run else _delete(rows) for name, rows in old.items()}


def _delete(rows: QuerySet[Any]) -> int:
    """Delete rows in chunks, one transaction each, and return their number."""
    done = 0
    while chunk := list(rows.order_by("pk").values_list("pk", flat=True)[:DELETE_CHUNK]):
        done += rows.filter(pk__in=chunk).delete()[0]
    return done


def export(user: User, *, other_sites: bool = False) -> dict[str, Any]:
    """Return all data of a user, except the password and session keys.

    other_sites: also the jobs of other sites to the user's confirmed addresses.
    """
    history = Credential.objects.filter(user=user).order_by("pk")
    others: dict[str, Any] = {}
    if other_sites:
        others["jobsOfOtherSites"] = retention.export_jobs(_jobs_of_other_sites(user))
        others["signInsOfOtherSites"] = list(_sign_ins_of_other_sites(user).values("site__slug", *SIGN_IN_FIELDS))
    return {
        "account": {name: getattr(user, name) for name in (*USER_FIELDS, "notify_sign_ins")},
        "addresses": list(EmailAddress.objects.filter(user=user).values("email", "verified", "primary")),
        "factors": list(Authenticator.objects.filter(user=user).values(*FACTOR_FIELDS)),
        "connections": list(SocialAccount.objects.filter(user=user).values("provider", "uid", "date_joined")),
        "signIns": list(SignIn.objects.filter(user=user).order_by("at").values(*SIGN_IN_FIELDS)),
        "suppressedAddresses": list(
            SuppressedAddress.objects.for_addresses(own_address.addresses_of(user)).values(*SUPPRESSED_FIELDS)
        ),
        "addressHistory": list(history.filter(kind=ADDRESS).values("address", *CREDENTIAL_FIELDS)),
        "factorHistory": list(history.exclude(kind=ADDRESS).values("kind", "reference", *CREDENTIAL_FIELDS)),
        "changes": list(AccountChange.objects.filter(user=user).order_by("at").values(*CHANGE_FIELDS)),
        "devices": list(user.devices.values("browser", "system", "first_at", "last_at")),
        "sessions": list(Session.objects.filter(user_id=user.pk).values("expire_date", "sign_in")),
        "requests": list(PendingRequest.objects.filter(user=user).order_by("pk").values(*REQUEST_FIELDS)),
        "jobs": retention.export_jobs(retention.jobs_of_user(str(user.pk), THIS_SITE)),
        **others,
    }


def export_json(user: User, *, other_sites: bool = False) -> str:
    """Return all data of a user as JSON, for people to read."""
    return json.dumps(export(user, other_sites=other_sites), cls=DjangoJSONEncoder, ensure_ascii=False, indent=2)


def erase_other_sites(user: User) -> int:
    """Erase the sign-ins and jobs of other sites with the user's confirmed addresses; return how many jobs."""
    _sign_ins_of_other_sites(user).delete()
    return retention.erase_jobs(_jobs_of_other_sites(user))


def _jobs_of_other_sites(user: User) -> JobQuerySet:
    return retention.jobs_to_addresses(_confirmed_addresses(user), except_source=THIS_SITE)


def _sign_ins_of_other_sites(user: User) -> QuerySet[SignIn]:
    sought = [address.lower() for address in _confirmed_addresses(user)]
    return SignIn.objects.filter(site__isnull=False).annotate(to=Lower("email")).filter(to__in=sought)


def _confirmed_addresses(user: User) -> set[str]:
    """Return confirmed addresses only: another person may own one that was merely entered."""
    rows = dict(EmailAddress.objects.filter(user=user).values_list("email", "verified"))
    confirmed = {address for address, verified in rows.items() if verified}
    entered_by_operator = set() if rows else {user.email}
    return confirmed | entered_by_operator - {""}
