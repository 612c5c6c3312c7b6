"""What the tests of a user's rights share: a fresh check, the emails about a request, and the passing of days."""

from datetime import timedelta

from django.db.models import F
from django.test import Client

from accounts.credentials import Credential
from accounts.notices import account
from accounts.pending import flow
from accounts.pending.request import PendingRequest
from jobs.core.job import JobLog
from tests.support.people import PASSWORD

SITE = "http://testserver"


def post_checked(client: Client, path: str, data: dict[str, str] | None = None):
    """POST, give the password when it is asked for, and return the final answer."""
    answer = client.post(path, data or {})
    if answer.status_code == 302 and answer.url.startswith("/accounts/reauthenticate/"):
        answer = client.post(answer.url, {"password": PASSWORD})
    return answer


def mails(what: str, stage: str) -> dict[str, str]:
    """Return the link in each email about a request, by its recipient."""
    jobs = JobLog.objects.filter(payload__kind="pending", payload__what=what, payload__stage=stage)
    return {job.payload["email"]: link_of(job) for job in jobs}


def link_of(job: JobLog) -> str:
    """Return the path of the link in the email of a job."""
    mail = account.build_mail(job.job_id, job.payload)
    return next(word for word in mail.text.split() if word.startswith(SITE)).removeprefix(SITE)


def pass_days(days: float) -> None:
    """Let time pass for requests and addresses, then run the sweep."""
    ago = timedelta(days=days)
    for model, columns in (
        (PendingRequest, ("asked_at", "due_at", "wake_at", "since")),
        (Credential, ("since", "removed_at")),
    ):
        model.objects.update(**{column: F(column) - ago for column in columns})
    flow.sweep()
