"""Which claimed jobs are not tried, because of what came back from their address: the `screen` of our job types.

bounced, refused    no mail is tried: it would come back again
complained          no notice of a sign-in, a new device included. A password reset, a confirmation and "this wasn't
                    me" are tried: the mailbox works, and they answer something that was just done in the account
"""

import uuid

from django.db import connection

from accounts.undeliverable import Undeliverable, Why, digest, normal
from jobs.errors import Failure
from jobs.models import JobLog, Reason


def notices(jobs: list[JobLog]) -> dict[int, Failure]:
    """Those of `jobs`, notices of sign-ins, that are held back, by primary key: one query, or two if there are any."""
    return _held(jobs, spared=())


def answers(jobs: list[JobLog]) -> dict[int, Failure]:
    """The same for mails that answer something a person did: a complaint does not hold them back."""
    return _held(jobs, spared=(Why.COMPLAINED,))


def _held(jobs: list[JobLog], spared: tuple[str, ...]) -> dict[int, Failure]:
    wanted: dict[int, uuid.UUID] = {
        job.pk: digest(usable) for job in jobs if (usable := normal(job.payload.get("email")))
    }
    if not wanted or not _told_of(list(wanted.values())):
        return {}
    entries = Undeliverable.objects.filter(digest__in=set(wanted.values())).standing().exclude(why__in=spared)
    standing = {entry.digest: entry for entry in entries.order_by("until")}
    return {pk: _failure(standing[known]) for pk, known in wanted.items() if known in standing}


def _told_of(digests: list[uuid.UUID]) -> bool:
    """Whether anything was ever told of one of these: hardly ever, and asked of every mail, so in the fewest words."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM accounts_undeliverable WHERE digest = ANY(%s))", [digests])
        return bool(cursor.fetchone()[0])


def _failure(entry: Undeliverable) -> Failure:
    """In words for the operator, without the address; the number finds the entry in the admin."""
    told = f"{entry.told_by} told on {entry.since:%Y-%m-%d}: {entry.why}"
    error = f"no mail to this address until {entry.until:%Y-%m-%d}: {told} (undeliverable address {entry.pk})"
    return Failure(Reason.SUPPRESSED, f"Suppressed {entry.why}", None, error, "")
