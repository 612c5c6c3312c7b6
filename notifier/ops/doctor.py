"""Diagnosis of this installation: what is wrong and what to do. It changes nothing; the checks are independent."""

from collections.abc import Callable

from django.db import Error, connection, transaction

from jobs.core import sql
from notifier.ops.checks import alerts, database, environment, mail, sites, work
from notifier.ops.checks.findings import Finding, Findings, Verdict

QUERY_TIMEOUT_MS = 5_000  # of each query: a locked table must not hang the diagnosis

Check = Callable[[], Findings]

WITHOUT_DATABASE: tuple[Check, ...] = (
    environment.check_settings,
    environment.check_https,
    environment.check_proxy,
    environment.check_disk,
    environment.check_static_files,
    environment.check_countries,
    alerts.check_alerts,
    database.check_broker,
)
READING: tuple[Check, ...] = (
    database.check_encoding,
    database.check_connections,
    database.check_migrations,
    database.check_clock,
    work.check_worker,
    work.check_maintenance,
    work.check_queue,
    work.check_suspended,
    work.check_dead_letters,
    work.check_pending,
    work.check_suppressions,
    work.check_addresses,
    sites.check_sites,
)


def examine() -> list[Finding]:
    """Run every check, causes before effects. Leave out those that need a database that is away or read-only."""
    findings = [finding for check in WITHOUT_DATABASE for finding in _run(check)]
    findings += (reached := _run(database.check_database))
    if not _has_fault(reached):
        findings += (writable := _run_limited(database.check_writes))
        findings += [finding for check in READING for finding in _run_limited(check)]
        if not _has_fault(writable):
            findings += _run_limited(database.check_cache) + _run(database.check_notify)
        findings += _run(sites.check_link_hosts)
    return findings + _run(mail.check_mail_server) + _run(mail.check_dns_records)


def _has_fault(findings: list[Finding]) -> bool:
    return any(finding.verdict == Verdict.FAULT for finding in findings)


def _run_limited(check: Check) -> list[Finding]:
    """Run a check in a transaction that limits each of its queries."""

    def limited() -> Findings:
        with transaction.atomic():
            sql.limit_queries(QUERY_TIMEOUT_MS)
            yield from check()

    return _run(limited, name=check.__name__)


def _run(check: Check, name: str = "") -> list[Finding]:
    """Return what a check finds; a failure of the check itself is a finding too."""
    name = (name or check.__name__).removeprefix("check_").replace("_", " ")
    try:
        return list(check())
    except Error as refused:
        connection.close()
        if sql.is_timeout(refused):
            message = f"a query took longer than {QUERY_TIMEOUT_MS // 1000} s: a locked table, or too much load"
            return [Finding(name, Verdict.FAULT, message, "look at pg_stat_activity of PostgreSQL")]
        return [Finding(name, Verdict.FAULT, f"a query failed ({type(refused).__name__})", "run: manage.py migrate")]
    except Exception as failed:  # one check must not end the others
        message = f"could not be checked ({type(failed).__name__})"
        return [Finding(name, Verdict.FAULT, message, "report it with the versions that `pip freeze` prints")]
