"""A site's queue in tests on real processes: jobs put in, their outcomes, and the mails that came out."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.clusters import Qcluster
from tests.support.site import Site
from tests.support.smtp_server import SmtpServer


def enqueue(site: Site, *job_ids: str, lane: str = "") -> None:
    """Jobs as a sign-in makes them, one for each id and each for a user of its own, from a process of the site."""
    made = (
        "from jobs.queue.enqueue import enqueue\n"
        f"for job_id in {list(job_ids)!r}:\n"
        "    enqueue('signin-notification', {'userId': job_id, 'email': job_id + '@example.mn', 'name': 'Bat',"
        " 'provider': 'password', 'ipAddress': '192.0.2.1', 'browser': 'Firefox', 'system': 'Linux',"
        " 'timestamp': '2026-11-25T01:00:00+00:00', 'locale': 'mn', 'timezone': 'Asia/Ulaanbaatar',"
        " 'newDevice': False}, job_id=job_id, user_id=job_id,"
        f" lane={lane!r})\n"
    )
    site.manage("shell", "-v0", "-c", made)


def statuses(site: Site) -> Counter:
    """How many jobs there are in each status."""
    return Counter(str(row[0]) for row in site.sql("SELECT status FROM job_logs"))


def sent(smtp: SmtpServer) -> Counter:
    """How often the mail server took each Message-ID."""
    return Counter(mail.message_id for mail in smtp.mails)


@contextmanager
def clusters_of(site: Site) -> Iterator[Callable[..., Qcluster]]:
    """A function that starts a qcluster of the site and waits until it is whole; all of them are gone at the end.

    ready=False: does not wait. manage: the command instead of manage.py.
    """
    started = []

    def start(*arguments: str, ready: bool = True, **options: Any) -> Qcluster:
        cluster = Qcluster(site.environment, site.folder / "worker.log", *arguments, **options)
        started.append(cluster)
        if ready:
            cluster.ready()
        return cluster

    try:
        yield start
    finally:
        for cluster in started:
            if cluster.process.poll() is None:
                cluster.kill_everything()
