"""The lane of a job, within which a user's hourly limit counts, and `admit_job` that knows it."""

from django.db import migrations, models

# As in 0001_initial, with `new_lane`: the jobs of another lane do not use up the limit of this one.
ADMIT_JOB = """
CREATE FUNCTION admit_job(
    new_id text, new_digest uuid, new_type text, new_user text, new_source text, new_lane text, others bigint,
    new_recipient text, recipient_others bigint, new_payload jsonb, attempts integer, request text, hours float8,
    OUT written bigint, OUT existing bigint, OUT used text, OUT wait float8
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(new_source || ':' || new_user || ':' || new_type, 0));
    SELECT id INTO existing FROM job_logs WHERE job_id = new_id;
    IF FOUND THEN RETURN; END IF;
    SELECT status INTO used FROM job_ids_used WHERE digest = new_digest;
    IF FOUND THEN RETURN; END IF;
    SELECT EXTRACT(EPOCH FROM created_at - clock_timestamp())::float8 + 3600 INTO wait FROM job_logs
    WHERE user_id = new_user AND job_type = new_type AND source = new_source AND lane = new_lane
        AND created_at > clock_timestamp() - interval '1 hour'
    ORDER BY created_at DESC LIMIT 1 OFFSET others;
    IF FOUND THEN RETURN; END IF;
    IF new_recipient IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(hashtextextended(new_source || ':' || new_type || ':' || lower(new_recipient), 1));
        -- The index job_sent_to (accounts) is on this expression.
        SELECT EXTRACT(EPOCH FROM created_at - clock_timestamp())::float8 + 3600 INTO wait FROM job_logs
        WHERE lower(left(payload ->> 'email', 254)) = lower(new_recipient) AND job_type = new_type
            AND source = new_source AND lane = new_lane AND created_at > clock_timestamp() - interval '1 hour'
        ORDER BY created_at DESC LIMIT 1 OFFSET recipient_others;
        IF FOUND THEN RETURN; END IF;
    END IF;
    INSERT INTO job_logs (job_id, job_type, user_id, source, lane, payload, max_attempts, request_id, expires_at,
        created_at, run_at, status, attempt_count, lost_count, replayed_automatically, error, stack_trace, error_class,
        fingerprint, dlq_reason, worker)
    VALUES (new_id, new_type, new_user, new_source, new_lane, new_payload, attempts, request,
        statement_timestamp() + hours * interval '1 hour', statement_timestamp(), statement_timestamp(),
        'enqueued', 0, 0, false, '', '', '', '', '', '')
    RETURNING id INTO written;
END $$
"""
PRESENT = "admit_job(text, uuid, text, text, text, text, bigint, text, bigint, jsonb, integer, text, float8)"


def add_function(apps, schema_editor):
    """Add the function. The former one stays, for the processes of the former version that still run."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(ADMIT_JOB)


def drop_function(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP FUNCTION {PRESENT}")


class Migration(migrations.Migration):

    dependencies = [("jobs", "0002_cluster_identity")]

    operations = [
        migrations.AddField(
            model_name="joblog",
            name="lane",
            field=models.CharField(db_default="default", default="default", max_length=8, verbose_name="lane"),
        ),
        migrations.RunPython(add_function, drop_function),
    ]
