"""Statements that are longer than a line, each with the function that executes it."""

# `JobLog.objects.claim_many`: PostgreSQL's function makes the move (jobs/migrations).
CLAIM_FIRST = """
SELECT *, EXTRACT(EPOCH FROM statement_timestamp() - run_at)::float8 AS waited,
    EXTRACT(EPOCH FROM statement_timestamp() - created_at)::float8 AS age, expires_at < statement_timestamp() AS expired
FROM claim_first_attempts(%s, %s::jsonb, %s, %s::bigint[])
"""
# `JobLog.objects.complete_and_claim`: it leaves rows that others have locked, for which completed jobs may not wait.
CLAIM_FREE = CLAIM_FIRST.replace(
    "%s::bigint[]", "ARRAY(SELECT id FROM job_logs WHERE id = ANY(%s::bigint[]) FOR UPDATE SKIP LOCKED)"
)
# `JobLog.objects.claim_oldest`: PostgreSQL's function also deletes the message.
CLAIM_OLDEST = CLAIM_FIRST.replace(
    "claim_first_attempts(%s, %s::jsonb, %s, %s::bigint[])", "claim_oldest(%s, %s, %s::jsonb, %s)"
)
# `JobLog.objects.complete_many`
COMPLETE = """
UPDATE job_logs SET status = 'completed', processed_at = statement_timestamp(), lease_until = NULL,
    error = '', stack_trace = '', error_class = '', fingerprint = ''
WHERE id = ANY(%s) AND attempt_count = %s AND status = 'processing' RETURNING id, processed_at
"""
# `admission.admit`: PostgreSQL's function locks the user, asks what ASK asks and inserts the row and its message
# (jobs/migrations).
ADMIT = (
    "SELECT written, statement_timestamp(), existing, used, wait "
    "FROM admit_job(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s, %s, %s, %s)"
)
ASK = """
SELECT (SELECT id FROM job_logs WHERE job_id = %s),
       (SELECT status FROM job_ids_used WHERE digest = %s),
       (SELECT (JULIANDAY(created_at) - JULIANDAY('NOW')) * 86400 + 3600 FROM job_logs
        WHERE job_type = %s AND user_id = %s AND source = %s AND lane = %s AND user_id <> ''
        AND created_at > STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', '-1 hour')
        ORDER BY created_at DESC LIMIT 1 OFFSET %s)
"""
ASK_RECIPIENT = """
SELECT (JULIANDAY(created_at) - JULIANDAY('NOW')) * 86400 + 3600 FROM job_logs
WHERE job_type = %s AND source = %s AND lane = %s AND LOWER(JSON_EXTRACT(payload, '$.email')) = LOWER(%s)
AND created_at > STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', '-1 hour')
ORDER BY created_at DESC LIMIT 1 OFFSET %s
"""
# `counters.add`
UPSERT_COUNTERS = (
    "INSERT INTO job_counters (slot, name, labels, bucket, count, total, at) {rows} "
    "ON CONFLICT (slot, name, labels, bucket) DO UPDATE SET count = job_counters.count + excluded.count, "
    "total = job_counters.total + excluded.total, at = excluded.at"
)
# The doctor: the connections that this role may have at most, and those of all clients that exist.
COUNT_CONNECTIONS = """
SELECT least(current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
             nullif(rolconnlimit, -1), nullif(datconnlimit, -1)),
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()
"""
