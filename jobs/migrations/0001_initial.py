"""The tables of the queue, and what Django cannot write: an index on django-q2's table, and `admit_job`."""

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import jobs.stats.minutes
import uuid
from django.db import migrations, models


# Decides whether a job may be written, and writes it, planned once (as a statement it was planned for every sign-in:
# 0.27 ms of 0.43). The user is locked by a statement of its own: those after it see what the last holder committed.
ADMIT_JOB = """
CREATE FUNCTION admit_job(
    new_id text, new_digest uuid, new_type text, new_user text, new_source text, others bigint,
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
    WHERE user_id = new_user AND job_type = new_type AND source = new_source
        AND created_at > clock_timestamp() - interval '1 hour'
    ORDER BY created_at DESC LIMIT 1 OFFSET others;
    IF FOUND THEN RETURN; END IF;
    IF new_recipient IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(hashtextextended(new_source || ':' || new_type || ':' || lower(new_recipient), 1));
        -- The index job_sent_to (accounts) is on this expression.
        SELECT EXTRACT(EPOCH FROM created_at - clock_timestamp())::float8 + 3600 INTO wait FROM job_logs
        WHERE lower(left(payload ->> 'email', 254)) = lower(new_recipient) AND job_type = new_type
            AND source = new_source AND created_at > clock_timestamp() - interval '1 hour'
        ORDER BY created_at DESC LIMIT 1 OFFSET recipient_others;
        IF FOUND THEN RETURN; END IF;
    END IF;
    INSERT INTO job_logs (job_id, job_type, user_id, source, payload, max_attempts, request_id, expires_at, created_at,
        run_at, status, attempt_count, lost_count, replayed_automatically, error, stack_trace, error_class, fingerprint,
        dlq_reason, worker)
    VALUES (new_id, new_type, new_user, new_source, new_payload, attempts, request,
        statement_timestamp() + hours * interval '1 hour', statement_timestamp(), statement_timestamp(),
        'enqueued', 0, 0, false, '', '', '', '', '', '')
    RETURNING id INTO written;
END $$
"""


def create_admit_job(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(ADMIT_JOB)


def drop_admit_job(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION admit_job")


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [
        migrations.CreateModel(
            name='Cluster',
            fields=[
                ('name', models.CharField(max_length=128, primary_key=True, serialize=False, verbose_name='cluster')),
                ('host', models.CharField(max_length=100, verbose_name='host')),
                ('pid', models.PositiveIntegerField(verbose_name='process')),
                ('version', models.CharField(blank=True, max_length=64, verbose_name='version')),
                ('workers', models.PositiveSmallIntegerField(verbose_name='workers')),
                ('in_flight', models.PositiveIntegerField(default=0, verbose_name='in flight')),
                ('restarts', models.PositiveIntegerField(default=0, verbose_name='restarts')),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='started')),
                ('seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='seen')),
                ('stopped_at', models.DateTimeField(null=True, verbose_name='stopped')),
            ],
            options={
                'verbose_name': 'cluster',
                'verbose_name_plural': 'clusters',
                'ordering': ['-seen_at'],
            },
        ),
        migrations.CreateModel(
            name='JobTypeState',
            fields=[
                ('job_type', models.CharField(max_length=64, primary_key=True, serialize=False, verbose_name='type')),
                ('paused_at', models.DateTimeField(null=True, verbose_name='paused')),
                ('paused_by', models.CharField(blank=True, max_length=150, verbose_name='by')),
                ('pause_reason', models.CharField(blank=True, max_length=200, verbose_name='why')),
                ('breaker_opened_at', models.DateTimeField(null=True, verbose_name='breaker open since')),
                ('breaker_error', models.TextField(blank=True, verbose_name='what the server said')),
                ('probed_at', models.DateTimeField(null=True, verbose_name='last probe')),
            ],
            options={
                'verbose_name': 'job type',
                'verbose_name_plural': 'job types',
                'permissions': [('pause_jobtypestate', 'Can pause and resume job types')],
            },
        ),
        migrations.CreateModel(
            name='LeaderLease',
            fields=[
                ('name', models.CharField(max_length=32, primary_key=True, serialize=False)),
                ('acquired_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name='Minute',
            fields=[
                ('minute', models.DateTimeField(primary_key=True, serialize=False)),
                ('enqueued', models.PositiveIntegerField(default=0)),
                ('completed', models.PositiveIntegerField(default=0)),
                ('died', models.PositiveIntegerField(default=0)),
                ('failures', models.JSONField(default=dict)),
                ('pickups', models.JSONField(default=jobs.stats.minutes.empty)),
                ('runs', models.JSONField(default=jobs.stats.minutes.empty)),
                ('last_id', models.BigIntegerField(null=True)),
                ('waiting', models.PositiveIntegerField(null=True)),
                ('oldest_wait', models.FloatField(null=True)),
            ],
            options={
                'db_table': 'job_minutes',
            },
        ),
        migrations.CreateModel(
            name='RetentionMark',
            fields=[
                ('name', models.CharField(max_length=32, primary_key=True, serialize=False)),
                ('reached', models.BigIntegerField(default=0)),
            ],
            options={
                'db_table': 'job_retention_marks',
            },
        ),
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='at')),
                ('who', models.CharField(max_length=150, verbose_name='who')),
                ('act', models.CharField(choices=[('replay', 'replayed'), ('discard', 'discarded'), ('bulk_replay', 'started a bulk replay'), ('bulk_cancel', 'cancelled a bulk replay'), ('pause', 'paused'), ('resume', 'resumed'), ('reveal', 'viewed personal data'), ('create_key', 'created an API key'), ('reactivate', 'reactivated a suppressed address'), ('revoke_key', 'revoked an API key'), ('delete_user', 'deleted an account')], max_length=16, verbose_name='act')),
                ('target', models.CharField(max_length=200, verbose_name='what')),
                ('detail', models.JSONField(blank=True, default=dict, verbose_name='detail')),
            ],
            options={
                'verbose_name': 'audit entry',
                'verbose_name_plural': 'audit entries',
                'ordering': ['-id'],
                'indexes': [models.Index(fields=['target'], name='audit_target')],
            },
        ),
        migrations.CreateModel(
            name='Counter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slot', models.PositiveSmallIntegerField()),
                ('name', models.CharField(max_length=40)),
                ('labels', models.CharField(blank=True, max_length=200)),
                ('bucket', models.CharField(blank=True, max_length=10)),
                ('count', models.BigIntegerField(default=0)),
                ('total', models.FloatField(default=0)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'db_table': 'job_counters',
                'constraints': [models.UniqueConstraint(fields=('slot', 'name', 'labels', 'bucket'), name='one_row_a_counter')],
            },
        ),
        migrations.CreateModel(
            name='JobLog',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('job_id', models.CharField(max_length=200, unique=True, validators=[django.core.validators.RegexValidator('^[A-Za-z0-9._:-]{1,200}\\Z')], verbose_name='job id')),
                ('job_type', models.CharField(max_length=64, verbose_name='type')),
                ('user_id', models.CharField(max_length=128, verbose_name='user')),
                ('source', models.CharField(default='signal', max_length=64, verbose_name='source')),
                ('status', models.CharField(choices=[('enqueued', 'waiting'), ('processing', 'running'), ('completed', 'completed'), ('failed', 'failed, will be tried again'), ('dlq', 'dead letter'), ('discarded', 'discarded')], default='enqueued', max_length=16, verbose_name='status')),
                ('payload', models.JSONField(default=dict, verbose_name='payload')),
                ('error', models.TextField(blank=True, verbose_name='error')),
                ('stack_trace', models.TextField(blank=True, verbose_name='stack trace')),
                ('error_class', models.CharField(blank=True, max_length=16, verbose_name='class of error')),
                ('fingerprint', models.CharField(blank=True, max_length=100, verbose_name='fingerprint')),
                ('dlq_reason', models.CharField(blank=True, choices=[('exhausted', 'every attempt failed'), ('permanent', 'refused for good'), ('poison', 'its workers died'), ('expired', 'too old to send'), ('suppressed', 'suppressed before the attempt')], max_length=16, verbose_name='reason')),
                ('attempt_count', models.PositiveIntegerField(default=0, verbose_name='attempts')),
                ('max_attempts', models.PositiveIntegerField(verbose_name='attempts at most')),
                ('lost_count', models.PositiveSmallIntegerField(default=0, verbose_name='workers lost')),
                ('request_id', models.CharField(blank=True, db_default='', default='', max_length=32, verbose_name='request')),
                ('replayed_automatically', models.BooleanField(default=False, verbose_name='replayed automatically')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='enqueued')),
                ('run_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='due')),
                ('expires_at', models.DateTimeField(verbose_name='expires')),
                ('lease_until', models.DateTimeField(null=True, verbose_name='leased until')),
                ('worker', models.CharField(blank=True, max_length=128, verbose_name='worker')),
                ('processing_at', models.DateTimeField(null=True, verbose_name='started')),
                ('processed_at', models.DateTimeField(null=True, verbose_name='settled')),
            ],
            options={
                'verbose_name': 'job',
                'verbose_name_plural': 'jobs',
                'db_table': 'job_logs',
                'ordering': ['-id'],
                'permissions': [('replay_joblog', 'Can replay jobs'), ('discard_joblog', 'Can discard jobs'), ('reveal_joblog', 'Can see personal data in jobs')],
                'indexes': [models.Index(fields=['user_id', 'job_type', 'created_at'], name='job_user_type_created'), models.Index(condition=models.Q(('status__in', ['enqueued', 'failed'])), fields=['run_at'], name='job_waiting'), models.Index(condition=models.Q(('status', 'processing')), fields=['lease_until'], name='job_processing'), models.Index(condition=models.Q(('status', 'completed')), fields=['processed_at'], name='job_completed'), models.Index(condition=models.Q(('status', 'dlq')), fields=['processed_at', 'id'], name='job_dlq'), models.Index(condition=models.Q(('status__in', ['failed', 'dlq'])), fields=['id'], name='job_wrong'), models.Index(condition=models.Q(('status', 'discarded')), fields=['id'], name='job_discarded'), models.Index(condition=models.Q(('status', 'dlq')), fields=['fingerprint', 'error_class', 'dlq_reason', 'processed_at'], name='job_dead_groups'), models.Index(condition=models.Q(('status', 'dlq')), fields=['fingerprint', 'id'], name='job_dead_of_error')],
            },
        ),
        migrations.CreateModel(
            name='BulkReplay',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('filter', models.JSONField(default=dict, verbose_name='filter')),
                ('who', models.CharField(max_length=150, verbose_name='who')),
                ('why', models.CharField(blank=True, max_length=200, verbose_name='why')),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('canary', 'trying the first job'), ('running', 'running'), ('done', 'done'), ('halted', 'halted: the first job failed again'), ('cancelled', 'cancelled')], default='waiting', max_length=16, verbose_name='state')),
                ('rate', models.PositiveIntegerField(default=500, verbose_name='jobs a second')),
                ('matched', models.PositiveIntegerField(default=0, verbose_name='matched')),
                ('replayed', models.PositiveIntegerField(default=0, verbose_name='replayed')),
                ('reached', models.BigIntegerField(default=0, editable=False)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='started')),
                ('moved_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='updated')),
                ('finished_at', models.DateTimeField(null=True, verbose_name='finished')),
                ('canary', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='jobs.joblog', verbose_name='first job')),
            ],
            options={
                'verbose_name': 'bulk replay',
                'verbose_name_plural': 'bulk replays',
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='UsedJobId',
            fields=[
                ('digest', models.UUIDField(primary_key=True, serialize=False)),
                ('status', models.CharField(max_length=16)),
                ('deleted_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'db_table': 'job_ids_used',
                'indexes': [models.Index(fields=['deleted_at'], name='used_deleted')],
            },
        ),
        migrations.CreateModel(
            name='JobAttempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField(verbose_name='number')),
                ('worker', models.CharField(max_length=128, verbose_name='worker')),
                ('started_at', models.DateTimeField(null=True, verbose_name='started')),
                ('ended_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='ended')),
                ('outcome', models.CharField(choices=[('failed', 'failed'), ('lost', 'its worker was lost')], max_length=16, verbose_name='outcome')),
                ('error_class', models.CharField(blank=True, max_length=16, verbose_name='class of error')),
                ('fingerprint', models.CharField(blank=True, max_length=100, verbose_name='fingerprint')),
                ('error_code', models.PositiveSmallIntegerField(null=True, verbose_name='error code')),
                ('error', models.TextField(blank=True, verbose_name='error')),
                ('trace', models.TextField(blank=True, verbose_name='trace')),
                ('job', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='attempts', to='jobs.joblog', verbose_name='job')),
            ],
            options={
                'verbose_name': 'attempt',
                'verbose_name_plural': 'attempts',
                'db_table': 'job_attempts',
                'ordering': ['number'],
                'indexes': [models.Index(fields=['ended_at'], name='attempt_ended')],
                'constraints': [models.UniqueConstraint(fields=('job', 'number'), name='one_row_an_attempt')],
            },
        ),
        # Without it, 200,000 delayed rows cut the rate of an otherwise idle queue to a 25th.
        migrations.RunSQL(
            "CREATE INDEX IF NOT EXISTS django_q_ormq_key_lock ON django_q_ormq (key, lock)",
            "DROP INDEX IF EXISTS django_q_ormq_key_lock",
        ),
        migrations.RunPython(create_admit_job, drop_admit_job),
    ]
