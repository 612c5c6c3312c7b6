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
FROM (SELECT n, now() - ({count} - n) * interval '{apart}' AS at FROM generate_series(1, {count}) n) made
"""
MESSAGE = """
INSERT INTO django_q_ormq (key, payload, lock) SELECT one.key, one.payload, {due}
FROM (SELECT key, payload FROM django_q_ormq LIMIT 1) one, generate_series(1, {count})
"""
FIRST = (
    "UPDATE job_logs SET run_at = run_at - interval '1 hour' WHERE job_id LIKE %s AND status = 'enqueued'",
    "UPDATE django_q_ormq SET lock = lock - interval '1 hour' WHERE id > (SELECT max(id) - %s FROM django_q_ormq)",
)
LATER = "now() + interval '1 hour'"


def finished(stand: Stand, count: int) -> None:
    """`count` jobs that were completed at the first try, the last of them now; none is old enough to be pruned."""
    _jobs(
        stand, count, kind="finished", status="completed", attempts=1, due="at", started="at", ended="at", apart="0.4 s"
    )


def waiting(stand: Stand, count: int) -> None:
    """`count` jobs that are due, and as many messages."""
    _jobs(stand, count, kind="waiting", status="enqueued", attempts=0, due="now()", started="NULL")
    _messages(stand, count, "now()")


def delayed(stand: Stand, count: int) -> None:
    """`count` jobs that failed once and are tried again in an hour, and as many messages."""
    _jobs(stand, count, kind="delayed", status="failed", attempts=1, due=LATER, started="at")
    _messages(stand, count, LATER)


def first_in_line(stand: Stand, like: str, count: int) -> None:
    """The `count` jobs that were enqueued last, whose ids are `like` this, are due before all others."""
    stand.services.sql(FIRST[0], like, database=stand.database)
    stand.services.sql(FIRST[1], count, database=stand.database)


def analyze(stand: Stand) -> None:
    """As autovacuum would have done by then."""
    stand.services.sql("VACUUM ANALYZE", database=stand.database)


def _jobs(stand: Stand, count: int, *, ended: str = "NULL", apart: str = "1 ms", **told: object) -> None:
    if count:
        query = JOB.format(count=count, ended=ended, apart=apart, **told)
        stand.services.sql(query, database=stand.database)


def _messages(stand: Stand, count: int, due: str) -> None:
    if count:
        stand.services.sql(MESSAGE.format(due=due, count=count), database=stand.database)
