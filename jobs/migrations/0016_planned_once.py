"""`claim_first_attempts`, whose plan PostgreSQL keeps; and `admit_job`, which asks for a user's jobs only for a limit."""

from importlib import import_module

from django.db import migrations

MESSAGES = import_module("jobs.migrations.0015_messages_of_jobs")
# What it leaves is that of `pauses.held`. The lease is that of the type in `leases`, in seconds, else `usual`.
CLAIM = """
CREATE FUNCTION claim_first_attempts(claimer text, leases jsonb, usual integer, ids bigint[])
RETURNS SETOF job_logs LANGUAGE plpgsql ROWS 10 AS $$
BEGIN
    RETURN QUERY
    UPDATE job_logs SET status = 'processing', attempt_count = 1, worker = claimer,
        processing_at = statement_timestamp(),
        lease_until = statement_timestamp() + coalesce((leases ->> job_type)::int, usual) * interval '1 second'
    WHERE id = ANY(ids) AND attempt_count = 0 AND status = 'enqueued' AND run_at <= statement_timestamp()
        AND job_type NOT IN (
            SELECT held.job_type FROM jobs_jobtypestate AS held WHERE breaker_opened_at IS NOT NULL
            OR (paused_at IS NOT NULL AND (paused_until IS NULL OR paused_until > statement_timestamp())))
        AND lane NOT IN (
            SELECT held.lane FROM jobs_lanestate AS held
            WHERE paused_at IS NOT NULL AND (paused_until IS NULL OR paused_until > statement_timestamp()))
    RETURNING job_logs.*;
END $$
"""
PRESENT = "claim_first_attempts(text, jsonb, integer, bigint[])"
ASK = "    SELECT EXTRACT(EPOCH FROM created_at - clock_timestamp())::float8 + 3600 INTO wait FROM job_logs\n    WHERE user_id"
ASKED = "LIMIT 1 OFFSET others;\n    IF FOUND THEN RETURN; END IF;\n"
NO_LIMIT = 2**31  # `others`, as jobs/queue/admission.py passes it for a type without a limit


def with_limit(function):
    """Return the text of `admit_job`, in which only a job of a user whose type has a limit asks for the jobs before."""
    condition = f"    IF new_user <> '' AND others < {NO_LIMIT} THEN\n"
    present = function.replace(ASK, condition + ASK).replace(ASKED, f"{ASKED}    END IF;\n")
    return present.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")


def add_functions(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(CLAIM)
        schema_editor.execute(with_limit(MESSAGES.admit_job()))


def restore_functions(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP FUNCTION {PRESENT}")
        schema_editor.execute(MESSAGES.admit_job().replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))


class Migration(migrations.Migration):

    dependencies = [("jobs", "0015_messages_of_jobs")]

    operations = [migrations.RunPython(add_functions, restore_functions)]
