"""Operators with the permissions a test names, and jobs in the states that operators look at."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from accounts.sites.site import Site, fill_this_site
from accounts.user import User
from jobs.core.attempts import JobAttempt
from jobs.core.job import THIS_SITE, JobLog, Status

LIST = "/admin/jobs/joblog/"
EVERYTHING = ("view_joblog", "replay_joblog", "discard_joblog", "reveal_joblog")
EVERYTHING += ("view_jobtypestate", "pause_jobtypestate", "view_bulkreplay", "view_auditentry", "view_cluster")
EVERYTHING += ("view_alertstate", "test_alertstate")
PAYLOAD = {"email": "bat@example.mn", "name": "Бат", "ipAddress": "203.0.113.9", "userAgent": "x"}


def operator(*permissions: str, name: str = "saraa") -> User:
    """A member of staff who may do what is named and nothing else. A name without an app is one of the queue."""
    user = User.objects.create_user(name, is_staff=True, password="a long enough password")
    for permission in permissions:
        app, _, codename = permission.rpartition(".")
        user.user_permissions.add(Permission.objects.get(codename=codename, content_type__app_label=app or "jobs"))
    return user


def signed_in(*permissions: str, language: str = "en", name: str = "saraa") -> Client:
    """A client in which such an operator has signed in."""
    client = Client(headers={"accept-language": language})
    client.force_login(operator(*permissions, name=name))
    JobLog.objects.all().delete()  # the notice of this very sign-in
    return client


def job(job_id: str, status: str = Status.DLQ, **values: Any) -> JobLog:
    """A job in `status`, with an error when that status has one."""
    now = timezone.now()
    fields: dict[str, Any] = {
        "job_type": "signin-notification",
        "user_id": "7",
        "payload": dict(PAYLOAD),
        "max_attempts": 5,
        "expires_at": now + timedelta(days=1),
    }
    if status in (Status.DLQ, Status.FAILED):
        fields |= {"error": "the server hung up", "fingerprint": "SMTPServerDisconnected", "error_class": "temporary"}
        fields |= {"attempt_count": 5}
    if status == Status.DLQ:
        fields |= {"dlq_reason": "exhausted", "processed_at": now}
    return JobLog.objects.create(**{**fields, "job_id": job_id, "status": status, **values})


def this_site() -> Site:
    """The row of this site, which a test with transactions of its own may have removed."""
    fill_this_site()
    return Site.objects.get(slug=THIS_SITE)


def tried(of: JobLog, number: int, **values: Any) -> JobAttempt:
    """A failed attempt of that job."""
    start = of.created_at + timedelta(seconds=2 * number)
    fields = {"worker": "w1", "started_at": start, "ended_at": start + timedelta(seconds=0.5), "outcome": "failed"}
    fields |= {"error": "the server hung up", "fingerprint": "SMTPServerDisconnected", "error_class": "temporary"}
    return of.attempts.create(number=number, **{**fields, **values})
