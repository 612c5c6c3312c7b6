"""Checks of the work in progress: workers, jobs, sign-ins and the suppression list."""

import ipaddress
from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from accounts.sign_in.event import NoticeStatus, SignIn
from accounts.suppression.entries import SuppressedAddress
from jobs.cluster import clusters
from jobs.core import pauses
from jobs.core.job import JobLog
from notifier.ops import health
from notifier.ops.checks.findings import Finding, Findings, Verdict
from notifier.ops.checks.mail import shorten

DEAD_LETTER_HOURS = 24
SUPPRESSED_HOURS, MANY_SUPPRESSED = 24, 20
LATEST_SIGN_INS = 20
PENDING_MINUTES = 2


def check_worker() -> Findings:
    """Check that a cluster sends heartbeats."""
    alive = clusters.alive().count()
    if alive:
        yield Finding("worker", Verdict.OK, f"{alive} cluster(s) send heartbeats")
        return
    silent = clusters.Cluster.objects.filter(stopped_at=None).order_by("-seen_at").first()
    if silent:
        message = f"last heartbeat of {silent.name}: {silent.seen_at:%H:%M:%S} UTC. It was killed, paused or cut off"
        yield Finding("worker", Verdict.FAULT, message, "read its log and start manage.py qcluster again")
    else:
        message = "no worker is running: notices wait, and none is lost"
        yield Finding("worker", Verdict.FAULT, message, "start manage.py qcluster")


def check_maintenance() -> Findings:
    """Check that no maintenance step fails in a running cluster."""
    for step in clusters.failing_maintenance():
        action = "read the worker's log: it names the error of each step; run: manage.py migrate"
        yield Finding("maintenance", Verdict.FAULT, f"{step} fails in a running cluster", action)


def check_queue() -> Findings:
    """Check that no due job waits for too long."""
    problem = health.queue_problem()
    if problem:
        action = "read the worker's log; restart a stuck worker; add workers (Q_WORKERS) when all are busy"
        yield Finding("queue", Verdict.FAULT, problem, action)
    else:
        yield Finding("queue", Verdict.OK, "no due job is waiting too long")


def check_suspended() -> Findings:
    """Report open breakers and pauses."""
    for state in pauses.suspended():
        if state.breaker_opened_at:
            message = f"the breaker of {state.job_type} is open: the mail server refuses our settings"
            action = "correct EMAIL_* and restart the worker; the breaker closes automatically within 12 s"
            yield Finding("breaker", Verdict.FAULT, message, action)
    for paused in pauses.active_pauses():
        message = f"{paused} was paused on {paused.paused_at:%Y-%m-%d %H:%M} UTC"
        message += f", until {paused.paused_until:%Y-%m-%d %H:%M} UTC" if paused.paused_until else ""
        action = f"if it was forgotten, run: manage.py jobs resume {paused}"
        yield Finding("pause", Verdict.WARNING, message, action)
    for provider in pauses.open_providers():
        message = f"{provider} is out of use, emails go through another: {shorten(provider.breaker_error)}"
        action = "correct what it says; it is used again automatically when its probe succeeds"
        yield Finding("mail provider", Verdict.WARNING, message, action)


def check_dead_letters() -> Findings:
    """Count the dead letters of a day."""
    count = JobLog.objects.dead().filter(processed_at__gt=Now() - timedelta(hours=DEAD_LETTER_HOURS)).count()
    if count:
        action = "look at them in the admin, or run: manage.py jobs list --status dlq"
        yield Finding("dead letters", Verdict.WARNING, f"{count} in the last {DEAD_LETTER_HOURS} hours", action)
    else:
        yield Finding("dead letters", Verdict.OK, f"none in the last {DEAD_LETTER_HOURS} hours")


def check_pending() -> Findings:
    """Count the sign-ins whose notice could not be enqueued."""
    before = Now() - timedelta(minutes=PENDING_MINUTES)
    count = SignIn.objects.filter(notice=NoticeStatus.PENDING, at__lt=before).count()
    if count:
        message = f"{count} sign-in(s) of more than {PENDING_MINUTES} minutes ago have no notice in the queue yet"
        yield Finding("pending", Verdict.FAULT, message, 'start a worker; look for "could not be enqueued" in its log')
    else:
        yield Finding("pending", Verdict.OK, "every sign-in has its notice")


def check_suppressions() -> Findings:
    """Count the addresses that were added to the suppression list within a day."""
    count = SuppressedAddress.objects.filter(since__gt=Now() - timedelta(hours=SUPPRESSED_HOURS)).count()
    if count >= MANY_SUPPRESSED:
        message = f"{count} addresses were suppressed in the last {SUPPRESSED_HOURS} hours: they get no email"
        action = "look at their codes in /admin/accounts/suppressedaddress/; is the sender on a blocklist?"
        yield Finding("suppressed", Verdict.WARNING, message, action)
    else:
        yield Finding("suppressed", Verdict.OK, f"{count} in the last {SUPPRESSED_HOURS} hours")


def check_addresses() -> Findings:
    """Check whether the latest sign-ins all have one private address, which is a proxy's; skip this for few of them."""
    latest = list(SignIn.objects.order_by("-at").values_list("ip", flat=True)[:LATEST_SIGN_INS])
    if len(latest) < LATEST_SIGN_INS or settings.DEBUG:
        return
    if len(set(latest)) == 1 and latest[0] and ipaddress.ip_address(latest[0]).is_private:
        message = f"the last {LATEST_SIGN_INS} sign-ins have one private address: a proxy is not trusted"
        yield Finding("addresses", Verdict.WARNING, message, "add its network to TRUSTED_PROXIES; see /admin/address/")
    else:
        yield Finding("addresses", Verdict.OK, "the latest sign-ins have clients' addresses")
