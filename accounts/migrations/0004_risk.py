"""A secret for each device, and what a later sign-in is compared with: network, country, signals."""

from django.db import migrations, models

from accounts.sign_in.networks import hash_network

CHUNK = 1_000


def hash_networks(apps, schema_editor):
    """Give the sign-ins of the former version their networks, so that no user's usual place looks new."""
    sign_ins = apps.get_model("accounts", "SignIn").objects
    last = None
    while True:
        rows = sign_ins.filter(network="").exclude(ip=None).order_by("pk").only("pk", "user_id", "ip")
        chunk = list(rows.filter(pk__gt=last)[:CHUNK] if last else rows[:CHUNK])
        if not chunk:
            return
        for sign_in in chunk:
            sign_in.network = hash_network(str(sign_in.user_id), sign_in.ip)[0]
        sign_ins.bulk_update(chunk, ["network"])
        last = chunk[-1].pk


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_pending_requests'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='device',
            name='one_row_a_device',
        ),
        migrations.AddField(
            model_name='device',
            name='first_of_account',
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddField(
            model_name='device',
            name='secret',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='signin',
            name='country',
            field=models.CharField(blank=True, db_default='', default='', max_length=2, verbose_name='country'),
        ),
        migrations.AddField(
            model_name='signin',
            name='network',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=32),
        ),
        migrations.AddField(
            model_name='signin',
            name='signals',
            field=models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict, verbose_name='unusual'),
        ),
        migrations.AlterField(
            model_name='signin',
            name='notice',
            field=models.CharField(choices=[('queued', 'on its way'), ('pending', 'will be sent when the queue recovers'), ('limited', 'not sent: too many in an hour'), ('opted_out', 'not sent: turned off'), ('no_address', 'not sent: the account has no address'), ('digest', 'in a summary email: too many in an hour'), ('unverified', 'not sent: the address is not confirmed')], default='queued', max_length=16, verbose_name='notice'),
        ),
        migrations.AddIndex(
            model_name='device',
            index=models.Index(fields=['user', 'browser', 'system'], name='device_families'),
        ),
        migrations.AddConstraint(
            model_name='device',
            constraint=models.UniqueConstraint(condition=models.Q(('secret', ''), _negated=True), fields=('user', 'secret'), name='one_device_a_secret'),
        ),
        migrations.RunPython(hash_networks, migrations.RunPython.noop, elidable=True),
    ]
