"""The audit's act of restoring suspended rights."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0005_audit_acts'),
    ]

    operations = [
        migrations.AlterField(
            model_name='auditentry',
            name='act',
            field=models.CharField(choices=[('replay', 'replayed'), ('discard', 'discarded'), ('bulk_replay', 'started a bulk replay'), ('bulk_cancel', 'cancelled a bulk replay'), ('pause', 'paused'), ('resume', 'resumed'), ('reveal', 'viewed personal data'), ('create_key', 'created an API key'), ('reactivate', 'reactivated a suppressed address'), ('revoke_key', 'revoked an API key'), ('delete_user', 'deleted an account'), ('restore_rights', 'restored suspended rights'), ('export_user', 'exported the data of an account'), ('restore_user', 'asked for the return of a former address'), ('remove_factors', 'asked for the removal of a second factor'), ('cancel_request', 'cancelled a pending request')], max_length=16, verbose_name='act'),
        ),
    ]
