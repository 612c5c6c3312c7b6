"""The policy of a job type: uniqueness, a time to run at, a lifetime of its own; and `admit_job` that knows them."""

from django.db import migrations, models

# As in 0003_lane, with `lifetime` in seconds, `due`, and an equal job that refuses the new one for `period` seconds.
ADMIT_JOB = """
CREATE FUNCTION admit_job(
    new_id text, new_digest uuid, new_type text, new_user text, new_source text, new_lane text, others bigint,
    new_recipient text, recipient_others bigint, new_payload jsonb, attempts integer, request text, lifetime float8,
    due timestamptz, new_unique uuid, period float8,
    OUT written bigint, OUT existing bigint, OUT used text, OUT wait float8
) LANGUAGE plpgsql AS $$
DECLARE
    runs timestamptz := greatest(due, statement_timestamp());  -- greatest() ignores NULL
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(new_source || ':' || new_user || ':' || new_type, 0));
    SELECT id INTO existing FROM job_logs WHERE job_id = new_id;
    IF FOUND THEN RETURN; END IF;
    SELECT status INTO used FROM job_ids_used WHERE digest = new_digest;
    IF FOUND THEN RETURN; END IF;
    IF new_unique IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(hashtextextended(new_unique::text, 2));
        SELECT id INTO existing FROM job_logs
        WHERE unique_key = new_unique AND status <> 'discarded' AND (status IN ('enqueued', 'failed', 'processing')
            OR created_at > clock_timestamp() - period * interval '1 second')
        ORDER BY id DESC LIMIT 1;
        IF FOUND THEN RETURN; END IF;
    END IF;
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
    INSERT INTO job_logs (job_id, job_type, user_id, source, lane, payload, max_attempts, request_id, unique_key,
        expires_at, created_at, run_at, status, attempt_count, lost_count, replayed_automatically, error, stack_trace,
        error_class, fingerprint, dlq_reason, worker)
    VALUES (new_id, new_type, new_user, new_source, new_lane, new_payload, attempts, request, new_unique,
        runs + lifetime * interval '1 second', statement_timestamp(), runs,
        'enqueued', 0, 0, false, '', '', '', '', '', '')
    RETURNING id INTO written;
END $$
"""
PRESENT = (
    "admit_job(text, uuid, text, text, text, text, bigint, text, bigint, jsonb, integer, text, float8, timestamptz, "
    "uuid, float8)"
)


def add_function(apps, schema_editor):
    """Add the function. The former one stays, for the processes of the former version that still run."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(ADMIT_JOB)


def drop_function(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP FUNCTION {PRESENT}")


class Migration(migrations.Migration):

    dependencies = [("jobs", "0007_lanes")]

    operations = [
        migrations.AddField(
            model_name="joblog",
            name="unique_key",
            field=models.UUIDField(editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="joblog",
            index=models.Index(
                condition=models.Q(("unique_key__isnull", False)), fields=["unique_key"], name="job_unique"
            ),
        ),
        migrations.AlterField(
            model_name='auditentry',
            name='act',
            field=models.CharField(choices=[('replay', 'replayed'), ('discard', 'discarded'), ('bulk_replay', 'started a bulk replay'), ('bulk_cancel', 'cancelled a bulk replay'), ('pause', 'paused'), ('resume', 'resumed'), ('reveal', 'viewed personal data'), ('create_key', 'created an API key'), ('reactivate', 'reactivated a suppressed address'), ('revoke_key', 'revoked an API key'), ('delete_user', 'deleted an account'), ('restore_rights', 'restored suspended rights'), ('export_user', 'exported the data of an account'), ('restore_user', 'asked for the return of a former address'), ('remove_factors', 'asked for the removal of a second factor'), ('reschedule', 'rescheduled'), ('cancel_request', 'cancelled a pending request')], max_length=16, verbose_name='act'),
        ),
        migrations.AlterField(
            model_name='joblog',
            name='dlq_reason',
            field=models.CharField(blank=True, choices=[('exhausted', 'every attempt failed'), ('permanent', 'refused for good'), ('poison', 'its workers died'), ('expired', 'too old to send'), ('suppressed', 'suppressed before the attempt'), ('cancelled', 'cancelled by its caller')], max_length=16, verbose_name='reason'),
        ),
        migrations.RunPython(add_function, drop_function),
    ]
