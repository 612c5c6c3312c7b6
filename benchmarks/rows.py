"""Rows by the million around jobs that are timed, made by the server itself in the form that enqueueing gives them.

A message is a copy of one that is there already, of the same size: it is never reached while the timed jobs are done.
"""

from benchmarks.stands import Stand

JOB = """
INSERT INTO job_logs (job_id, job_type, user_id, source, status, payload, error, stack_trace, error_class,
  fingerprint, dlq_reason, attempt_count, max_attempts, lost_count, request_id, auto_replayed, created_at, run_at,
  expires_at, worker, processing_at, processed_at)
SELECT '{kind}-' || n, 'signin-notification', (n % 200000)::text, 'signal', '{status}',
  jsonb_build_object('userId', n::text, 'email', 'u' || n || '@example.mn', 'name', 'Батбаяр Дорж',
    'provider', 'password', 'ipAddress', '203.0.113.7', 'browser', 'Firefox', 'system', 'Linux', 'locale', 'mn',
    'timezone', 'Asia/Ulaanbaatar', 'newDevice', false, 'moreSignIns', 0, 'timestamp', at::text),
  '', '', '', '', '', {attempts}, 5, 0, '', false, at, {due}, now() + interval '1 day', '', {started}, {ended}
FROM (SELECT n, now() - ({after} + {count} - n) * interval '{apart}' AS at
      FROM generate_series({after} + 1, {after} + {count}) n) made
"""
MESSAGE = """
INSERT INTO django_q_ormq (key, payload, lock) SELECT one.key, one.payload, {due}
FROM (SELECT key, payload FROM django_q_ormq LIMIT 1) one, generate_series(1, {count})
"""
FIRST = (
    "UPDATE job_logs SET run_at = run_at - interval '1 hour' WHERE job_id LIKE %s AND status = 'enqueued'",
    "UPDATE django_q_ormq SET lock = lock - interval '1 hour' WHERE id > (SELECT max(id) - %s FROM django_q_ormq)",
)
COUNT = "from django.utils import timezone; from jobs import rollups; rollups.keep_up(timezone.now())"
LATER = "now() + interval '1 hour'"


def finished(stand: Stand, count: int, after: int = 0) -> None:
    """`count` jobs that were completed at the first try, the last of them now; none is old enough to be pruned.

    after: how many there are already.
    """
    then = {"due": "at", "started": "at", "ended": "at", "apart": "0.4 s"}
    _jobs(stand, count, after=after, kind="finished", status="completed", attempts=1, **then)


def waiting(stand: Stand, count: int, after: int = 0) -> None:
    """`count` jobs that are due, and as many messages."""
    now = _moment(stand)
    _jobs(stand, count, after=after, kind="waiting", status="enqueued", attempts=0, due=now, started="NULL")
    _messages(stand, count, now)


def delayed(stand: Stand, count: int, after: int = 0) -> None:
    """`count` jobs that failed once and are tried again in an hour, and as many messages."""
    _jobs(stand, count, after=after, kind="delayed", status="failed", attempts=1, due=LATER, started="at")
    _messages(stand, count, LATER)


def first_in_line(stand: Stand, like: str, count: int) -> None:
    """The `count` jobs that were enqueued last, whose ids are `like` this, are due before all others."""
    stand.services.sql(FIRST[0], like, database=stand.database)
    stand.services.sql(FIRST[1], count, database=stand.database)


def count_minutes(stand: Stand) -> None:
    """As the clusters would have done while these jobs came: else the first cluster counts 5,000,000 at once."""
    stand.manage("shell", "--verbosity", "0", "--command", COUNT)


def settle_down(stand: Stand) -> None:
    """As autovacuum and the checkpointer would have done by then: what is measured is the size, not the loading."""
    stand.services.sql("VACUUM ANALYZE", database=stand.database)
    stand.services.sql("CHECKPOINT", database=stand.database)


def _moment(stand: Stand) -> str:
    """The database's time now, as SQL: the same for a job and its message, or the one would seem forgotten."""
    return stand.services.sql("SELECT quote_literal(now()) || '::timestamptz'", database=stand.database)[0][0]


def _jobs(stand: Stand, count: int, *, ended: str = "NULL", apart: str = "1 ms", **told: object) -> None:
    if count:
        query = JOB.format(count=count, ended=ended, apart=apart, **told)
        stand.services.sql(query, database=stand.database)


def _messages(stand: Stand, count: int, due: str) -> None:
    if count:
        stand.services.sql(MESSAGE.format(due=due, count=count), database=stand.database)
