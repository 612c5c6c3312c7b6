"""Checks of the database, and of the cache and the messages in it."""

import uuid
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.core.cache import cache
from django.db import Error, connection

from jobs.brokers import listener, messages
from jobs.cluster import clusters
from jobs.core import sql
from jobs.core.sql import engines, statements
from notifier.ops import health
from notifier.ops.checks.findings import Finding, Findings, Verdict

MAX_CLOCK_SKEW = 2.0  # seconds: time synchronisation keeps clocks closer than that
WEB_CONNECTIONS = 5  # of a gunicorn process: its four threads, and the one that writes the counters
NEAR_FULL = 0.9
# Words of PostgreSQL that say why it refuses a connection, what they mean, and what to do.
REFUSALS = (
    (("too many clients", "connection slots", "too many connections"), "has no connection left", "raise max_connections"
     " of PostgreSQL, or put PgBouncer in front (docs/scaling.md)"),
    (("authentication", "no password", "role"), "refuses the login", "correct user and password in DATABASE_URL"),
    (("database \"", "does not exist"), "has no such database", "create it, or correct its name in DATABASE_URL"),
    (("starting up", "shutting down", "recovery"), "is starting or stopping", "wait a minute, then look at its log"),
    (("resolve", "name or service"), "has an unknown host name", "correct the host in DATABASE_URL"),
    (("timeout",), "does not answer in time: it hangs, or packets are dropped", "look at the server and at firewalls"),
)  # fmt: skip


def check_database() -> Findings:
    """Connect to the database; report why that fails."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as away:
        connection.close()
        what, action = _explain(str(away))
        yield Finding("database", Verdict.FAULT, f"{what} ({type(away).__name__})", action)
        return
    yield Finding("database", Verdict.OK, f"{engines.name()} responds")


def _explain(error: str) -> tuple[str, str]:
    """Return what an error of the connection means, and what to do. The error itself is never shown."""
    for words, what, action in REFUSALS:
        if any(word in error.lower() for word in words):
            return what, action
    return "does not respond", "start PostgreSQL, then check host, port, name, user and password in DATABASE_URL"


def check_writes() -> Findings:
    """Check that the database can be written."""
    if not engines.is_server():
        return
    state = sql.server_state()
    if state.in_recovery:
        action = "promote it, or point DATABASE_URL at the primary"
        yield Finding("writes", Verdict.FAULT, "the database is a standby in recovery mode: it is read-only", action)
    elif state.read_only:
        action = "set default_transaction_read_only = off, after correcting its cause (a full disk, a failover)"
        yield Finding("writes", Verdict.FAULT, "the database is read-only", action)
    else:
        yield Finding("writes", Verdict.OK, "the database can be written")


def check_encoding() -> Findings:
    """Check that the database stores every character."""
    if not engines.is_server():
        return
    encoding = sql.server_state().encoding
    if encoding != "UTF8":
        message = f"the database has the encoding {encoding}: names in Mongolian cannot be stored"
        action = "createdb --encoding UTF8 --template template0 NAME, then restore a copy into it"
        yield Finding("encoding", Verdict.FAULT, message, action)
    else:
        yield Finding("encoding", Verdict.OK, "UTF8")


def check_connections() -> Findings:
    """Compare the connections that PostgreSQL allows with those that the site and its clusters need."""
    if not engines.is_server():
        return
    allowed, used = sql.fetch_one(statements.COUNT_CONNECTIONS, [])
    alive = list(clusters.alive()) or [clusters.Cluster(workers=settings.Q_WORKERS)]
    needed = settings.WEB_WORKERS * WEB_CONNECTIONS + sum(cluster.connections for cluster in alive)
    action = "raise max_connections of PostgreSQL, or put PgBouncer in front (docs/scaling.md)"
    needs = f"PostgreSQL allows {allowed} connections; one web host and {len(alive)} cluster(s) need up to {needed}"
    if allowed < needed:
        yield Finding("connections", Verdict.FAULT, needs, action)
    elif used > NEAR_FULL * allowed:
        yield Finding("connections", Verdict.WARNING, f"{used} of {allowed} connections are in use", action)
    else:
        yield Finding("connections", Verdict.OK, f"{needs}; {used} are in use")


def check_migrations() -> Findings:
    """Check that every migration is applied."""
    missing = health.missing_migrations()
    if missing:
        yield Finding("migrations", Verdict.FAULT, f"{missing} are not applied", "run: manage.py migrate")
    else:
        yield Finding("migrations", Verdict.OK, "all are applied")


def check_clock() -> Findings:
    """Compare this machine's clock with the database's."""
    if not engines.is_server():
        yield Finding("clock", Verdict.OK, "the database is a file on this machine")
        return
    skew = abs(health.clock_skew())
    if skew > MAX_CLOCK_SKEW:
        action = "turn on time synchronisation (chrony or systemd-timesyncd) on both machines"
        message = f"the clocks of this machine and the database are {skew:.0f} s apart"
        yield Finding("clock", Verdict.FAULT, message, action)
    else:
        yield Finding("clock", Verdict.OK, "agrees with the database's")


def check_notify() -> Findings:
    """Check how workers learn of new jobs. Uses a connection of its own, outside any transaction."""
    if not engines.is_server():
        return
    every = f"workers look for jobs every {listener.FALLBACK_POLL_SECONDS} s"
    if sql.is_pooled():
        yield Finding("notify", Verdict.OK, f"DATABASE_URL names a pooler in transaction mode: {every}")
        return
    with ThreadPoolExecutor(1) as thread:
        arrives = thread.submit(_notify_arrives).result()
    if arrives:
        yield Finding("notify", Verdict.OK, "NOTIFY arrives: workers wait for it and do not poll")
    else:
        action = "connect manage.py qcluster directly or to a pool in session mode; else add ?pgbouncer=true"
        yield Finding("notify", Verdict.WARNING, f"NOTIFY does not arrive (a pooler?): {every}", action)


def _notify_arrives() -> bool:
    try:
        return listener.Listener("doctor").prove()
    finally:
        connection.close()  # this thread's own


def check_cache() -> Findings:
    """Write and read an entry: requests are counted in the cache."""
    key = f"doctor-{uuid.uuid4().hex}"
    action = "start Redis, or correct REDIS_URL" if settings.REDIS_URL else "run: manage.py migrate"
    try:
        cache.set(key, 1, 30)
        works = cache.get(key) == 1
        cache.delete(key)
    except Exception as error:  # each backend raises its own
        yield Finding("cache", Verdict.FAULT, f"does not work ({type(error).__name__})", action)
        return
    if works:
        yield Finding("cache", Verdict.OK, "stores entries")
    else:
        yield Finding("cache", Verdict.FAULT, "does not store entries", action)


def check_broker() -> Findings:
    """Ask the broker that carries messages to workers."""
    if messages.in_our_database():
        return
    try:
        messages.waiting_since()
    except Exception as error:  # each broker raises its own
        message = f"{settings.Q_BROKER} does not respond ({type(error).__name__}): workers get no messages"
        action = "start Redis, or correct REDIS_URL" if settings.Q_BROKER == "redis" else "check AWS_* and the queue"
        yield Finding("broker", Verdict.FAULT, message, action)
    else:
        yield Finding("broker", Verdict.OK, f"{settings.Q_BROKER} responds")
