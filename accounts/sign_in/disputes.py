"""The dispute: the link "this wasn't me" in an email about a sign-in or a change, and what its button does.

    1. the event is marked as disputed; a second report for the same address does nothing
    2. what was added since is held, what was removed since is restored, and so is the profile
    3. the links of later events are void, except those mailed to older addresses
    4. the account is closed: see `accounts.sign_in.closing`
    5. a recovery link is emailed to the address of the link, everyone is notified, the operators are alerted

All of it commits together, under a lock on the account. When the queue is unavailable, everything but the emails
does; they stay pending.
"""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import Error, models, transaction
from django.db.models import F, Min, Q, QuerySet
from django.db.models.functions import Coalesce, Least, Now
from django.utils import timezone

from accounts import credentials
from accounts.credentials import UNDO_DAYS, Credential
from accounts.links import dispute_links
from accounts.mail import user_agents
from accounts.notices import account, security
from accounts.pending import flow
from accounts.pending.request import RequestKind
from accounts.sign_in import closing
from accounts.sign_in.event import AccountChange, NoticeStatus, SignIn
from accounts.user import User
from jobs.queue.sweeping import work_on_each

log = structlog.get_logger("accounts")

Event = SignIn | AccountChange
EVENTS: tuple[type[SignIn] | type[AccountChange], ...] = (SignIn, AccountChange)
BATCH = 100
MAX_OPERATORS = 20


def dispute(event: Event, address: str = "") -> bool:
    """Revert what happened since the event and close the account; False when this link has no power, or was used.

    address: that the link was mailed to; "" for the one that the notice of the sign-in was sent to. The link acts for
    that address: see `accounts.credentials`.
    """
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=event.user.pk)
        acting = find_acting(event, address)
        if acting is None:
            return False
        acting = credentials.enter(acting)
        start = _start_of(event, acting)
        values = {"disputed_at": Coalesce(F("disputed_at"), Now()), "disputed_by": acting, "dispute_pending": True}
        type(event).objects.filter(pk=event.pk).update(**values)
        _void_links(event, acting, start)
        credentials.revert(user, acting, start)
        closing.close(user, acting, start, _origin(event))
        flow.cancel_all(user, RequestKind.DELETE, RequestKind.LOST_FACTOR)
        event.refresh_from_db()
        event.user = user
        _enqueue_mails(event)
    log.warning("sign-in disputed", event_id=str(event.pk), user_id=event.user_id)
    return True


def is_open(event: Event, address: str = "") -> bool:
    """Return whether the link of an event can still act for an address."""
    return find_acting(event, address) is not None


def find_acting(event: Event, address: str = "") -> Credential | None:
    """Return the entry of the address for which the link of an event can still act.

    None when the event was disputed by that or an older address, is older than UNDO_DAYS, or the address has no power
    (any more).
    """
    event.refresh_from_db(fields=["disputed_at", "closed_since"])
    if credentials.undo_until(event.at) < timezone.now():
        return None
    if isinstance(event, SignIn) and event.notice in (NoticeStatus.UNVERIFIED, NoticeStatus.NO_ADDRESS):
        return None
    acting = credentials.find_power(event.user, address or mailed_to(event))
    return None if acting is None or event.is_closed_for(acting.since) else acting


def may_give_up(event: Event, address: str) -> bool:
    """Return whether a link is about the removal of its own address, which its mailbox can then prove."""
    if not isinstance(event, AccountChange) or event.what != AccountChange.What.ADDRESS_REMOVED:
        return False
    removed = event.credential
    if removed is None or removed.address != address.lower():
        return False
    return removed.state == Credential.State.LEAVING and is_open(event, address)


def give_up(event: Event, address: str) -> None:
    """End the power of the removed address: its mailbox has proved the removal."""
    leaving = Credential.objects.for_address(event.user.pk, address).leaving()
    leaving.end_power(Credential.Backing.MAILBOX)


def mailed_to(event: Event) -> str:
    """Return the address of the notice of a sign-in; a change has several, so "" for it."""
    return event.email if isinstance(event, SignIn) else ""


def find_link(token: str) -> tuple[Event, str] | None:
    """Return the event and the address that a link names; None for a link that is not valid, or a deleted account."""
    named = dispute_links.read_token(token)
    if named is None:
        return None
    event = find_event(named[0])
    if event is None:
        return None
    if not named[1]:
        return event, mailed_to(event)
    known = Credential.objects.filter(user_id=event.user.pk).values_list("address", flat=True)
    addresses = {mailed_to(event), *known} - {""}
    named_ones = (one for one in addresses if dispute_links.names_address(named[1], event.pk, one))
    return next(((event, address) for address in named_ones), None)


def find_event(event_id: UUID) -> Event | None:
    """Return the sign-in or the change with that id."""
    mine = {"pk": event_id, "user__isnull": False}  # accounts.sites.disputes has those of other sites
    found = (kind.objects.select_related("user").filter(**mine).first() for kind in EVENTS)
    return next((event for event in found if event), None)


def _origin(event: Event) -> SignIn | None:
    """Return the disputed sign-in; of a change that of the session that made it, if there was one."""
    if isinstance(event, SignIn):
        return event
    return SignIn.objects.filter(pk=event.sign_in, user_id=event.user_id).first() if event.sign_in else None


def _start_of(event: Event, acting: Credential) -> datetime:
    """Return since when changes are reverted.

    The disputed sign-in, or the earliest one of the UNDO_DAYS before it from the same families of browser and system,
    or from any browser that is not vouched; never before the acting address was confirmed.
    """
    origin = _origin(event)
    at = min(event.at, origin.at) if origin else event.at
    suspect = Q(vouched=False) | Q(browser=origin.browser, system=origin.system) if origin else Q(vouched=False)
    recent = SignIn.objects.filter(suspect, user_id=event.user.pk, at__gt=at - timedelta(days=UNDO_DAYS))
    earliest = recent.aggregate(earliest=Min("at"))["earliest"] or at
    return max(min(earliest, at), acting.since)


def _void_links(event: Event, acting: Credential, start: datetime) -> None:
    """Void the links of the event and of every one since `start`, except those mailed to older addresses."""
    since = models.Value(acting.since, output_field=models.DateTimeField())
    for kind in EVENTS:
        rows = kind.objects.filter(Q(at__gte=start) | Q(pk=event.pk), user_id=event.user.pk)
        rows.update(closed_since=Least(Coalesce(F("closed_since"), since), since))


def pending() -> QuerySet[SignIn]:
    """Return the disputed sign-ins whose emails could not be enqueued when the button was pressed, oldest first."""
    return SignIn.objects.filter(dispute_pending=True, site=None).order_by("disputed_at")


def pending_changes() -> QuerySet[AccountChange]:
    """Return the disputed changes whose emails could not be enqueued, oldest first."""
    return AccountChange.objects.filter(dispute_pending=True).order_by("disputed_at")


def enqueue_pending() -> None:
    """Enqueue the pending emails. Safe to repeat."""
    work_on_each(pending().select_related("user", "disputed_by")[:BATCH], _enqueue_mails)
    work_on_each(pending_changes().select_related("user", "disputed_by")[:BATCH], _enqueue_mails)


def _enqueue_mails(event: Event) -> None:
    """Enqueue the emails of a dispute; they stay pending when the queue cannot be written to."""
    acting, origin = event.disputed_by, _origin(event)
    prefix = f"{event.job_id}.{acting.pk if acting else 0}"
    method = {"signInId": str(origin.pk) if origin else "", "method": origin.method if origin else ""}
    try:
        with transaction.atomic():
            if acting is not None:
                account.enqueue_urgent_mail("way_back", acting.address, event.user, f"{prefix}.way_back", **method)
            for number, (address, operator) in enumerate(_operators()):
                security.enqueue_alert(
                    address, operator, f"{prefix}.dispute_alert.{number}", {**method, **_describe(event, origin)}
                )
            type(event).objects.filter(pk=event.pk).update(dispute_pending=False)
    except Error:
        log.exception("emails of a dispute could not be enqueued, they stay pending", event_id=str(event.pk))


def _describe(event: Event, origin: SignIn | None) -> dict[str, str]:
    """Return what an operator's alert says: the account masked and its number, the time and the device."""
    return {
        "account": f"{event.user.get_username()[:1]}… ({event.user_id})",
        "at": (origin or event).at.isoformat(),
        "device": user_agents.device_name(*((origin.browser, origin.system) if origin else ("", ""))),
    }


def _operators() -> list[tuple[str, User | None]]:
    """Return who is alerted: staff that may see sign-ins, else the site's contact."""
    staff = User.objects.with_perm("accounts.view_signin", backend="django.contrib.auth.backends.ModelBackend")
    reached = staff.filter(is_staff=True).exclude(email="").order_by("pk")[:MAX_OPERATORS]
    return [(operator.email, operator) for operator in reached] or [(settings.SUPPORT_EMAIL, None)]
