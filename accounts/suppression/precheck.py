"""The prechecks of our job types: claimed jobs whose address is suppressed are not tried.

bounced, refused    no email is sent: it would bounce again
complained          no routine notice of a sign-in is sent. An alert, a password reset, a confirmation and an email of a
                    dispute are sent: the mailbox works, and the user needs them
"""

from django.utils.translation import gettext_lazy as _

from accounts.mail.content import is_alert
from accounts.suppression.entries import SuppressedAddress, SuppressionReason, hashes_of
from accounts.suppression.opt_out import find_opted_out
from jobs.core.errors import ErrorClass, Failure
from jobs.core.job import JobLog
from jobs.core.sql.variants import may_have

DIGEST = SuppressedAddress._meta.get_field("digest")
ADVICE = (
    _("Emails to this address bounced or were marked as spam, so none are sent to it."),
    _("Discard the job. Or reactivate the address under Suppressed addresses, then replay the job."),
)
TURNED_OFF = Failure(ErrorClass.OBSOLETE, "Turned off", None, "the user turned routine notices off", "")


def check_notices(jobs: list[JobLog]) -> dict[int, Failure]:
    """Return why notices of sign-ins must not be sent, by the job's primary key.

    A complaint does not suppress an alert. It takes one query for each kind, and a second one on a hit. A user of
    another site may have turned routine notices off.
    """
    alerts = [job for job in jobs if is_alert(job.payload)]
    routine = [job for job in jobs if not is_alert(job.payload)]
    off = {job.pk: TURNED_OFF for job in find_opted_out(routine)}
    return off | _suppressed(routine, spared=()) | _suppressed(alerts, spared=(SuppressionReason.COMPLAINED,))


def check_account_mails(jobs: list[JobLog]) -> dict[int, Failure]:
    """Return why account emails must not be sent, by primary key.

    A complaint does not suppress these.
    """
    return _suppressed(jobs, spared=(SuppressionReason.COMPLAINED,))


def _suppressed(jobs: list[JobLog], spared: tuple[str, ...]) -> dict[int, Failure]:
    wanted = {job.pk: hashes_of(job.payload.get("email")) for job in jobs}
    digests = [digest for hashes in wanted.values() for digest in hashes]
    if not digests or not may_have(DIGEST, digests):
        return {}
    entries = SuppressedAddress.objects.filter(digest__in=set(digests)).active().exclude(why__in=spared)
    active = {entry.digest: entry for entry in entries.order_by("until")}
    found = {pk: next((active[one] for one in hashes if one in active), None) for pk, hashes in wanted.items()}
    return {pk: _failure(entry) for pk, entry in found.items() if entry}


def _failure(entry: SuppressedAddress) -> Failure:
    """Return the failure in words for the operator.

    It holds no address, but the number of the entry in the admin.
    """
    report = f"{entry.reported_by} reported on {entry.since:%Y-%m-%d}: {entry.why}"
    error = f"no email to this address until {entry.until:%Y-%m-%d}: {report} (suppressed address {entry.pk})"
    return Failure(ErrorClass.SUPPRESSED, f"Suppressed {entry.why}", None, error, "")
