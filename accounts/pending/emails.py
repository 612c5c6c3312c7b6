"""Who is emailed about a pending request, and whose link may cancel it."""

from allauth.account.models import EmailAddress
from django.conf import settings
from django.utils import translation

from accounts import credentials
from accounts.credentials import Credential
from accounts.notices import account
from accounts.pending.request import PendingRequest, RequestKind
from accounts.user import User


def notify(request: PendingRequest, stage: str) -> None:
    """Email everyone concerned. stage: "asked", "reminder", "cancelled" or "done".

    Once for each request, stage and address, without a limit: no other party can use it up.
    """
    cancelling = cancelling_addresses(request) if stage in ("asked", "reminder") else []
    for number, address in enumerate(recipients(request)):
        job_id = f"request-{request.pk}-{stage}-{request.notices}-{number}"
        details = details_of(request, stage)
        if address in cancelling:
            details["mayCancel"] = "yes"
        if stage == "done" and address == request.address:
            details["wayBack"] = "yes"
        account.enqueue_urgent_mail("pending", address, request.user, job_id, **details)


def notify_deleted(number: int, details: dict[str, str], addresses: list[str], language: str) -> None:
    """Email the addresses of an account that has just been deleted. number: the primary key that its request had."""
    with translation.override(language or settings.LANGUAGE_CODE):
        for position, address in enumerate(addresses):
            account.enqueue_urgent_mail("pending", address, None, f"request-{number}-done-{position}", **details)


def recipients(request: PendingRequest) -> list[str]:
    """Return every address to notify: current, leaving and held ones, and the one that is to return."""
    addresses = {entry.address for entry in credentials.concerned_addresses(request.user)}
    return sorted({*addresses, *_entered_by_operator(request.user), request.address} - {""})


def cancelling_addresses(request: PendingRequest) -> list[str]:
    """Return the addresses whose link may cancel the request.

    A restore: those older than the theft, so that the thief's cannot. Otherwise every current or leaving address.
    """
    powerful = [entry for entry in credentials.concerned_addresses(request.user) if entry.has_power]
    if request.kind != RequestKind.RESTORE:
        return sorted({*(entry.address for entry in powerful), *_entered_by_operator(request.user)})
    returning = Credential.objects.for_address(request.user_id, request.address)[:1]
    return sorted({entry.address for entry in (*powerful, *returning) if request.since and entry.since < request.since})


def _entered_by_operator(user: User) -> set[str]:
    """Return the account's address if an operator entered it: it has no history yet, and counts as confirmed."""
    known = credentials.has_history(user) or EmailAddress.objects.filter(user=user).exists()
    return {user.email.lower()} - {""} if not known else set()


def details_of(request: PendingRequest, stage: str) -> dict[str, str]:
    """Return what the email says; the link is made when it is sent."""
    return {
        "what": request.kind,
        "stage": stage,
        "at": request.due_at.isoformat(),
        "request": str(request.pk),
        "operator": "yes" if request.operator else "",
    }
