"""`admit_job` also stores the message of a job's first attempt: a statement of its own was planned for each job."""

from importlib import import_module

from django.db import migrations

FORMER = import_module("jobs.migrations.0008_policies")
USERS = import_module("jobs.migrations.0010_tasks")
PERIOD = "uuid, period float8,"
WRITTEN = "    RETURNING id INTO written;\n"
# The message as jobs/brokers/messages.py reads it, in the queue `message_key`; visible when the job is due.
MESSAGE = """    IF message_key IS NOT NULL THEN
        INSERT INTO django_q_ormq (key, payload, lock) VALUES (message_key, 'job:' || written, runs);
    END IF;
"""
PRESENT = FORMER.PRESENT.replace("float8)", "float8, text)")


def admit_job():
    """Return the text of the function as this migration makes it."""
    present = USERS.without_user(FORMER.ADMIT_JOB).replace(PERIOD, f"{PERIOD} message_key text,")
    return present.replace(WRITTEN, WRITTEN + MESSAGE)


def add_function(apps, schema_editor):
    """Add the function. The former one stays, for the processes of the former version that still run."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(admit_job())


def drop_function(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP FUNCTION {PRESENT}")


class Migration(migrations.Migration):

    dependencies = [("jobs", "0014_audit_acts")]

    operations = [migrations.RunPython(add_function, drop_function)]
