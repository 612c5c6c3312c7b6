"""Changes of accounts as events, and what a dispute suspends."""

import django.db.models.deletion
import django.db.models.functions.datetime
import uuid
from django.conf import settings
from django.db import migrations, models
from django.db.models import OuterRef, Subquery


def close_links(apps, schema_editor):
    """Close the links of sign-ins that were disputed or voided, for every address of their account."""
    joined = apps.get_model("accounts", "User").objects.filter(pk=OuterRef("user_id")).values("date_joined")
    closed = apps.get_model("accounts", "SignIn").objects.exclude(disputed_at=None, voided_at=None)
    closed.update(closed_since=Subquery(joined))


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_risk'),
    ]

    operations = [
        migrations.CreateModel(
            name='AccountChange',
            fields=[
                ('disputed_at', models.DateTimeField(null=True, verbose_name='disputed')),
                ('closed_since', models.DateTimeField(null=True, verbose_name='closed for addresses confirmed since')),
                ('dispute_pending', models.BooleanField(default=False, verbose_name='emails of the dispute are pending')),
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='at')),
                ('what', models.CharField(choices=[('password', 'The password was changed or set.'), ('address', 'An email address of the account was confirmed or made primary.'), ('address_removed', 'An email address of the account was removed.'), ('github_added', 'A GitHub account was connected.'), ('github_removed', 'A GitHub account was removed.'), ('factor_added', 'A second factor was added.'), ('factor_removed', 'A second factor was removed.'), ('recovery_code_used', 'A recovery code was used in place of a passkey or an authenticator app.'), ('name', 'The name of the account was changed.'), ('language', 'The language was changed.'), ('notices', 'Emails about sign-ins were turned off.'), ('recovered', 'A new password was set with a link that we sent by email.'), ('restored', 'Something that a report had switched off was switched on again.'), ('reported', 'Someone reported that a sign-in or a change was not theirs: the account was protected.'), ('stranger_out', 'A sign-in was reported from inside the account: other sessions have ended.')], max_length=32, verbose_name='what')),
                ('sign_in', models.UUIDField(null=True, verbose_name='made in the session of this sign-in')),
            ],
            options={
                'verbose_name': 'change of an account',
                'verbose_name_plural': 'changes of accounts',
                'ordering': ['-at'],
            },
        ),
        migrations.AddField(
            model_name='apikey',
            name='made_by',
            field=models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL, verbose_name='made by'),
        ),
        migrations.AddField(
            model_name='credential',
            name='reminded',
            field=models.PositiveSmallIntegerField(db_default=0, default=0, verbose_name='reminders of its removal'),
        ),
        migrations.AddField(
            model_name='signin',
            name='closed_since',
            field=models.DateTimeField(null=True, verbose_name='closed for addresses confirmed since'),
        ),
        migrations.RunPython(close_links, migrations.RunPython.noop),
        migrations.RemoveField(
            model_name='signin',
            name='voided_at',
        ),
        migrations.AddField(
            model_name='signin',
            name='disputed_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='accounts.credential', verbose_name='disputed by the address'),
        ),
        migrations.AddField(
            model_name='signin',
            name='made_with',
            field=models.CharField(blank=True, db_default='', default='', max_length=255, verbose_name='made with'),
        ),
        migrations.AddField(
            model_name='user',
            name='suspended_rights',
            field=models.JSONField(db_default=[], default=list, editable=False, verbose_name='rights suspended by a dispute'),
        ),
        migrations.AddIndex(
            model_name='credential',
            index=models.Index(condition=models.Q(('state__in', ['held', 'leaving'])), fields=['removed_at'], name='credential_ending'),
        ),
        migrations.AddField(
            model_name='accountchange',
            name='credential',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='accounts.credential', verbose_name='what was changed'),
        ),
        migrations.AddField(
            model_name='accountchange',
            name='disputed_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='accounts.credential', verbose_name='disputed by the address'),
        ),
        migrations.AddField(
            model_name='accountchange',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='changes', to=settings.AUTH_USER_MODEL, verbose_name='account'),
        ),
        migrations.AddIndex(
            model_name='accountchange',
            index=models.Index(fields=['user', '-at'], name='change_user_at'),
        ),
        migrations.AddIndex(
            model_name='accountchange',
            index=models.Index(condition=models.Q(('dispute_pending', True)), fields=['disputed_at'], name='change_dispute_pending'),
        ),
    ]
