"""Tasks: their results, longer names of job types, the exception of an attempt; and `admit_job` for jobs of no user."""

from importlib import import_module

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now

FORMER = import_module("jobs.migrations.0008_policies").ADMIT_JOB
LOCK = "    PERFORM pg_advisory_xact_lock(hashtextextended(new_source || ':' || new_user || ':' || new_type, 0));\n"
LIMIT = "        AND created_at > clock_timestamp() - interval '1 hour'\n    ORDER BY created_at DESC LIMIT 1 OFFSET others;"


def without_user(function):
    """Return the text of the function, in which a job of no user (user_id '') waits for no other, and is not counted."""
    present = function.replace(LOCK, f"    IF new_user <> '' THEN\n    {LOCK}    END IF;\n")
    return present.replace(LIMIT, LIMIT.replace("ORDER BY", "    AND new_user <> ''\n    ORDER BY"))


def replace_function(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(without_user(FORMER).replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))


def restore_function(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FORMER.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))


class Migration(migrations.Migration):

    dependencies = [("jobs", "0009_sites")]

    operations = [
        migrations.AlterField("joblog", "job_type", models.CharField(max_length=200, verbose_name="type")),
        migrations.AlterField(
            "jobtypestate",
            "job_type",
            models.CharField(max_length=200, primary_key=True, serialize=False, verbose_name="type"),
        ),
        migrations.AlterField("counter", "labels", models.CharField(blank=True, max_length=300)),
        migrations.AddField(
            "jobattempt",
            "exception_path",
            models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
        migrations.CreateModel(
            "TaskResultRow",
            [
                (
                    "job",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="task_result",
                        serialize=False,
                        to="jobs.joblog",
                    ),
                ),
                ("value", models.JSONField(null=True)),
                ("done", models.BigIntegerField(null=True)),
                ("total", models.BigIntegerField(null=True)),
                ("written_at", models.DateTimeField(db_default=Now())),
            ],
            options={
                "db_table": "job_task_results",
                "default_permissions": (),
                "indexes": [models.Index(fields=["written_at"], name="task_result_written")],
            },
        ),
        migrations.RunPython(replace_function, restore_function),
    ]
