"""Lanes: the oldest waiting job of each is found by an index, operators pause them, and a pause may have an end."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0006_restore_rights'),
    ]

    operations = [
        migrations.CreateModel(
            name='LaneState',
            fields=[
                ('lane', models.CharField(choices=[('urgent', 'urgent'), ('alert', 'alert'), ('default', 'default'), ('bulk', 'bulk')], max_length=8, primary_key=True, serialize=False, verbose_name='lane')),
                ('paused_at', models.DateTimeField(null=True, verbose_name='paused')),
                ('paused_by', models.CharField(blank=True, max_length=150, verbose_name='by')),
                ('pause_reason', models.CharField(blank=True, max_length=200, verbose_name='why')),
                ('paused_until', models.DateTimeField(null=True, verbose_name='until')),
            ],
            options={
                'verbose_name': 'lane',
                'verbose_name_plural': 'lanes',
                'default_permissions': (),
            },
        ),
        migrations.RemoveIndex(
            model_name='joblog',
            name='job_waiting',
        ),
        migrations.AddField(
            model_name='jobtypestate',
            name='paused_until',
            field=models.DateTimeField(null=True, verbose_name='until'),
        ),
        migrations.AlterField(
            model_name='joblog',
            name='lane',
            field=models.CharField(choices=[('urgent', 'urgent'), ('alert', 'alert'), ('default', 'default'), ('bulk', 'bulk')], db_default='default', default='default', max_length=8, verbose_name='lane'),
        ),
        migrations.AddIndex(
            model_name='joblog',
            index=models.Index(condition=models.Q(('status__in', ('enqueued', 'failed'))), fields=['lane', 'run_at'], name='job_waiting_lane'),
        ),
    ]
