"""What is wrong with this installation, in words that say what to do. Changes nothing; each check stands alone."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.cache import cache
from django.db import Error, connection
from django.db.models.functions import Now
from django.utils import timezone

from accounts import emails
from jobs import clusters, pauses
from jobs.errors import Configuration, JobError
from jobs.models import JobLog
from notifier import health, mail_records

CLOCK_SECONDS = 2.0
DEAD_HOURS = 24


class Verdict(StrEnum):
    OK = "ok"
    UNKNOWN = "unknown"  # could not be asked: no fault
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """check: what was looked at. told: what was seen. do: the next step, empty when there is none."""

    check: str
    verdict: Verdict
    told: str
    do: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


Findings = Iterator[Finding]


def examine() -> list[Finding]:
    """Every finding, in the order in which faults follow from each other; without a database, those that need none."""
    found: list[Finding] = []
    for check in (_settings, _proxy, _database):
        found += check()
    away = any(finding.check == "database" and finding.verdict == Verdict.FAULT for finding in found)
    for check in () if away else (_migrations, _cache, _clock, _worker, _queue, _held, _dead):
        found += _carefully(check)
    for check in (_mail, _records):
        found += check()
    return found


def _carefully(check: Callable[[], Findings]) -> list[Finding]:
    try:
        return list(check())
    except Error as failed:
        name = check.__name__.strip("_")
        return [Finding(name, Verdict.FAULT, f"the database refused: {type(failed).__name__}", "manage.py migrate")]


def _settings() -> Findings:
    messages = [found for found in checks.run_checks(include_deployment_checks=True) if not found.is_silenced()]
    serious = [found for found in messages if found.level >= checks.WARNING and found.id != "notifier.W001"]
    for found in serious:
        verdict = Verdict.FAULT if found.level >= checks.ERROR else Verdict.WARNING
        yield Finding("settings", verdict, f"{found.id}: {found.msg}", str(found.hint or "see docs/settings.md"))
    if not serious:
        yield Finding("settings", Verdict.OK, "all are there and agree with each other")


def _proxy() -> Findings:
    if settings.SITE_URL.startswith("https://") and not settings.TRUSTED_PROXIES:
        told = "SITE_URL is https and TRUSTED_PROXIES is empty: every sign-in would show the proxy's address"
        yield Finding("proxy", Verdict.WARNING, told, "set TRUSTED_PROXIES=127.0.0.1/32, or your proxy's network")
    else:
        yield Finding("proxy", Verdict.OK, f"{len(settings.TRUSTED_PROXIES)} networks of proxies are trusted")


def _database() -> Findings:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as away:
        connection.close()
        do = "start PostgreSQL, then check host, port, name, user and password in DATABASE_URL"
        yield Finding("database", Verdict.FAULT, f"it does not answer ({type(away).__name__})", do)
        return
    yield Finding("database", Verdict.OK, f"{connection.vendor} answers")


def _migrations() -> Findings:
    missing = health.missing_migrations()
    if missing:
        yield Finding("migrations", Verdict.FAULT, f"{missing} are missing", "run: manage.py migrate")
    else:
        yield Finding("migrations", Verdict.OK, "all are applied")


def _cache() -> Findings:
    """Requests are counted in it: an entry must come back."""
    key, do = f"doctor-{uuid.uuid4().hex}", "run: manage.py migrate; with REDIS_URL: is Redis running?"
    try:
        cache.set(key, 1, 30)
        works = cache.get(key) == 1
        cache.delete(key)
    except Exception as broken:  # whatever the backend raises
        yield Finding("cache", Verdict.FAULT, f"it does not work ({type(broken).__name__})", do)
        return
    told = "keeps what it is given" if works else "does not keep what it is given"
    yield Finding("cache", Verdict.OK if works else Verdict.FAULT, told, "" if works else do)


def _clock() -> Findings:
    with connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_TIMESTAMP" if connection.vendor != "postgresql" else "SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    if isinstance(now, str):
        yield Finding("clock", Verdict.OK, "the database is a file on this machine")
        return
    apart = abs((timezone.now() - now).total_seconds())
    if apart > CLOCK_SECONDS:
        do = "switch on time synchronisation (chrony or systemd-timesyncd) on both machines"
        yield Finding("clock", Verdict.FAULT, f"this machine and the database are {apart:.0f} s apart", do)
    else:
        yield Finding("clock", Verdict.OK, "agrees with the database's")


def _worker() -> Findings:
    alive = clusters.alive().count()
    if alive:
        yield Finding("worker", Verdict.OK, f"{alive} cluster(s) beat")
        return
    silent = clusters.Cluster.objects.filter(stopped_at=None).order_by("-seen_at").first()
    if silent:
        told = f"{silent.name} has not beaten since {silent.seen_at:%H:%M:%S} UTC: killed, paused or cut off"
        yield Finding("worker", Verdict.FAULT, told, "look at its log and start manage.py qcluster again")
    else:
        yield Finding(
            "worker", Verdict.FAULT, "none is running: notices wait, none is lost", "start manage.py qcluster"
        )


def _queue() -> Findings:
    told = health.standing()
    if told:
        do = "look at the worker's log; more workers (Q_WORKERS) when all are busy"
        yield Finding("queue", Verdict.FAULT, told, do)
    else:
        yield Finding("queue", Verdict.OK, "no due job is left waiting")


def _held() -> Findings:
    for state in pauses.held():
        if state.breaker_opened_at:
            told = f"the breaker of {state.job_type} is open: the mail server refuses our settings"
            yield Finding("breaker", Verdict.FAULT, told, "mend EMAIL_*; it closes by itself within 12 s")
        if state.paused_at:
            told = f"{state.job_type} was paused on {state.paused_at:%Y-%m-%d %H:%M} UTC"
            yield Finding(
                "pause", Verdict.WARNING, told, f"if it was forgotten: manage.py jobs resume {state.job_type}"
            )


def _dead() -> Findings:
    recent = JobLog.objects.dead().filter(processed_at__gt=Now() - timedelta(hours=DEAD_HOURS))
    count = recent.count()
    if count:
        told = f"{count} in the last {DEAD_HOURS} hours"
        yield Finding(
            "dead letters", Verdict.WARNING, told, "look at them in the admin; manage.py jobs list --status dlq"
        )
    else:
        yield Finding("dead letters", Verdict.OK, f"none in the last {DEAD_HOURS} hours")


def _mail() -> Findings:
    """Connection, TLS, log-in and sender, on a connection of its own; no mail is sent."""
    where = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    try:
        emails.probe()
    except Configuration as refused:
        told = f"{where} answers and refuses our settings (code {refused.code or 'none'})"
        do = "check EMAIL_HOST_USER, EMAIL_HOST_PASSWORD, EMAIL_USE_TLS, EMAIL_USE_SSL and DEFAULT_FROM_EMAIL"
        yield Finding("mail server", Verdict.FAULT, told, do)
    except JobError:
        do = "check EMAIL_HOST and EMAIL_PORT, and whether a firewall stands between"
        yield Finding("mail server", Verdict.FAULT, f"{where} cannot be reached or does not take mail now", do)
    else:
        yield Finding("mail server", Verdict.OK, f"{where} would take a mail from us")


def _records() -> Findings:
    for name, state, told, do in mail_records.look():
        yield Finding(name, {None: Verdict.UNKNOWN, True: Verdict.OK, False: Verdict.WARNING}[state], told, do)
