"""`claim_oldest`: what a worker that listens itself fetches and claims."""

from importlib import import_module

from django.db import migrations

FIRST = import_module("jobs.migrations.0016_planned_once").CLAIM
UPDATE = FIRST[FIRST.index("    UPDATE") : FIRST.index("END $$")]  # as `claim_first_attempts` claims
# The first attempt of the job of a queue's oldest visible message; the message is deleted with the claim. Nothing
# changes when that is another message, or when the job may not be claimed: see `claim_first_attempts`.
CLAIM = f"""
CREATE FUNCTION claim_oldest(queue text, claimer text, leases jsonb, usual integer)
RETURNS SETOF job_logs LANGUAGE plpgsql ROWS 1 AS $$
DECLARE
    oldest record;
    ids bigint[];
BEGIN
    SELECT id, payload INTO oldest FROM django_q_ormq WHERE key = queue AND lock <= statement_timestamp()
    ORDER BY lock LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF oldest.payload ~ '^job:[0-9]{{1,18}}$' THEN
        ids := ARRAY[substr(oldest.payload, 5)];
        RETURN QUERY
{UPDATE}        IF FOUND THEN
            DELETE FROM django_q_ormq WHERE id = oldest.id;
        END IF;
    END IF;
END $$
"""


def add_function(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(CLAIM)


def drop_function(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION claim_oldest(text, text, jsonb, integer)")


class Migration(migrations.Migration):

    dependencies = [("jobs", "0016_planned_once")]

    operations = [migrations.RunPython(add_function, drop_function)]
