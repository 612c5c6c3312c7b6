"""The notice of a sign-in as a job: what is enqueued, and what a worker does with it."""

from itertools import product
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse

from accounts import emails, letters, messages, rendering
from accounts.models import Notice, SignIn
from jobs import queue
from jobs.models import JobLog

JOB_TYPE = "signin-notification"
OWED_AT_ONCE = 500


def enqueue(sign_in: SignIn) -> JobLog:
    """Enqueues the notice of a sign-in on this site. Raises what `jobs.queue.enqueue` raises."""
    return queue.enqueue(JOB_TYPE, payload(sign_in), job_id=sign_in.job_id, user_id=str(sign_in.user_id))


def payload(sign_in: SignIn) -> dict[str, Any]:
    """The notice as data, in the field names of the HTTP API; all that the mail needs, as it was at the sign-in."""
    user = sign_in.user
    return {
        "userId": str(user.pk),
        "email": sign_in.email,
        "name": user.get_full_name() or user.get_username(),
        "provider": sign_in.method,
        "ipAddress": sign_in.ip or "",
        "browser": sign_in.browser,
        "system": sign_in.system,
        "timestamp": sign_in.at.isoformat(),
        "locale": sign_in.language,
        "timezone": sign_in.time_zone,
        "newDevice": sign_in.new_device,
        "moreSignIns": sign_in.more_sign_ins,
        "signInId": str(sign_in.pk),
    }


def deliver(job: JobLog) -> None:
    """The handler: renders the mail and sends it. Raises `jobs.errors`."""
    emails.send_sign_in_notice(job.job_id, job.payload)


def warm() -> None:
    """Makes the skeletons of the usual mails: templates compiled, styles inlined, headers encoded."""
    usual = {"email": "a@example.mn", "name": "a", "browser": "a", "system": "a", "ipAddress": "192.0.2.1"}
    for language, new_device, way in product(dict(settings.LANGUAGES), (False, True), ("password", "github")):
        payload = {**usual, "locale": language, "newDevice": new_device, "provider": way, "signInId": str(UUID(int=0))}
        letter = letters.write(payload)
        messages.as_bytes(messages.Mail("warm", usual["email"], language, *rendering.render(letter)))


def preview(job: JobLog, language: str) -> tuple[str, str, str]:
    """Subject, text and HTML of the job's mail in `language`, for the operators' pages: its link disputes nothing."""
    nobodys = {"signInId": str(UUID(int=0))} if job.payload.get("signInId") else {}
    return rendering.preview({**job.payload, **nobodys}, language)


def sign_ins_page(job: JobLog) -> str:
    """The admin's list of the sign-ins of the person a job is for; empty for a person of another site."""
    if not job.payload.get("signInId"):
        return ""
    return f"{reverse('admin:accounts_signin_changelist')}?{urlencode({'user__id__exact': job.user_id})}"


def owed() -> QuerySet[SignIn]:
    """Sign-ins whose notice could not be enqueued, the oldest first."""
    return SignIn.objects.filter(notice=Notice.OWED).order_by("at")


def enqueue_owed() -> None:
    """Enqueues the notices that are owed. Safe to repeat: one job for each sign-in."""
    for sign_in in owed().select_related("user")[:OWED_AT_ONCE]:
        try:
            enqueue(sign_in)
            outcome = Notice.QUEUED
        except queue.Duplicate:
            outcome = Notice.QUEUED
        except queue.RateLimited:
            outcome = Notice.LIMITED
        SignIn.objects.filter(pk=sign_in.pk, notice=Notice.OWED).update(notice=outcome)
