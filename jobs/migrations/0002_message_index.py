"""django_q_ormq has no index but its key: without one, 200,000 delayed rows cut the rate to a 25th (TRAPS.md)."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial"), ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX IF NOT EXISTS django_q_ormq_key_lock ON django_q_ormq (key, lock)",
            "DROP INDEX IF EXISTS django_q_ormq_key_lock",
        )
    ]
