"""The tables of users, sign-ins and sites, and an index by which operators find the jobs of an address."""

import accounts.sites.keys
import accounts.sites.validators
import django.contrib.auth.models
import django.contrib.auth.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Left, Lower


# The length is jobs.core.job_types.RECIPIENT_LENGTH.
SENT_TO = models.Index(Lower(Left(KeyTextTransform("email", "payload"), 254)), name="job_sent_to")


def add_index(apps, schema_editor):
    schema_editor.add_index(apps.get_model("jobs", "JobLog"), SENT_TO)


def remove_index(apps, schema_editor):
    schema_editor.remove_index(apps.get_model("jobs", "JobLog"), SENT_TO)


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('jobs', '0001_initial'),
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=64, validators=[accounts.sites.validators.check_slug], verbose_name='name')),
                ('prefix', models.CharField(editable=False, max_length=12, unique=True, verbose_name='prefix')),
                ('digest', models.CharField(editable=False, max_length=64)),
                ('scopes', models.JSONField(default=list, validators=[accounts.sites.keys.check_scopes], verbose_name='scopes')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='created')),
                ('expires_at', models.DateTimeField(blank=True, null=True, verbose_name='expires')),
                ('last_used_at', models.DateTimeField(editable=False, null=True, verbose_name='last used')),
                ('revoked_at', models.DateTimeField(editable=False, null=True, verbose_name='revoked')),
            ],
            options={
                'verbose_name': 'API key',
                'verbose_name_plural': 'API keys',
                'db_table': 'api_keys',
                'ordering': ['-id'],
                'permissions': [('revoke_apikey', 'Can revoke API keys')],
            },
        ),
        migrations.CreateModel(
            name='Session',
            fields=[
                ('session_key', models.CharField(max_length=40, primary_key=True, serialize=False, verbose_name='session key')),
                ('session_data', models.TextField(verbose_name='session data')),
                ('expire_date', models.DateTimeField(db_index=True, verbose_name='expire date')),
                ('user_id', models.BigIntegerField(db_index=True, null=True)),
                ('sign_in', models.UUIDField(db_index=True, null=True)),
            ],
            options={
                'verbose_name': 'session',
                'verbose_name_plural': 'sessions',
                'db_table': 'account_sessions',
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='User',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('password', models.CharField(max_length=128, verbose_name='password')),
                ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                ('is_superuser', models.BooleanField(default=False, help_text='Designates that this user has all permissions without explicitly assigning them.', verbose_name='superuser status')),
                ('username', models.CharField(error_messages={'unique': 'A user with that username already exists.'}, help_text='Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.', max_length=150, unique=True, validators=[django.contrib.auth.validators.UnicodeUsernameValidator()], verbose_name='username')),
                ('first_name', models.CharField(blank=True, max_length=150, verbose_name='first name')),
                ('last_name', models.CharField(blank=True, max_length=150, verbose_name='last name')),
                ('email', models.EmailField(blank=True, max_length=254, verbose_name='email address')),
                ('is_staff', models.BooleanField(default=False, help_text='Designates whether the user can log into this admin site.', verbose_name='staff status')),
                ('is_active', models.BooleanField(default=True, help_text='Designates whether this user should be treated as active. Unselect this instead of deleting accounts.', verbose_name='active')),
                ('date_joined', models.DateTimeField(default=django.utils.timezone.now, verbose_name='date joined')),
                ('language', models.CharField(blank=True, choices=[('mn', 'Монгол'), ('en', 'English')], max_length=8, verbose_name='language')),
                ('time_zone', models.CharField(blank=True, max_length=64, verbose_name='time zone')),
                ('notify_sign_ins', models.BooleanField(default=True, help_text='Sign-ins from a new device are always reported.', verbose_name='email about every sign-in')),
                ('groups', models.ManyToManyField(blank=True, help_text='The groups this user belongs to. A user will get all permissions granted to each of their groups.', related_name='user_set', related_query_name='user', to='auth.group', verbose_name='groups')),
                ('user_permissions', models.ManyToManyField(blank=True, help_text='Specific permissions for this user.', related_name='user_set', related_query_name='user', to='auth.permission', verbose_name='user permissions')),
            ],
            options={
                'verbose_name': 'account',
                'verbose_name_plural': 'accounts',
                'abstract': False,
            },
            managers=[
                ('objects', django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name='SuppressedAddress',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.UUIDField(editable=False)),
                ('masked', models.CharField(max_length=262, verbose_name='address')),
                ('why', models.CharField(choices=[('bounced', 'an email bounced permanently'), ('refused', 'the email service refuses to send to it'), ('complained', 'an email was marked as spam')], max_length=16, verbose_name='why')),
                ('code', models.CharField(blank=True, max_length=16, verbose_name='code')),
                ('reported_by', models.CharField(max_length=32, verbose_name='reported by')),
                ('since', models.DateTimeField(verbose_name='since')),
                ('until', models.DateTimeField(verbose_name='until')),
                ('times', models.PositiveIntegerField(default=1, verbose_name='times')),
                ('reactivated_at', models.DateTimeField(null=True, verbose_name='reactivated')),
                ('reactivated_by', models.CharField(blank=True, max_length=150, verbose_name='reactivated by')),
            ],
            options={
                'verbose_name': 'suppressed address',
                'verbose_name_plural': 'suppressed addresses',
                'ordering': ['-since'],
                'permissions': [('reactivate_suppressedaddress', 'Can reactivate suppressed addresses')],
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['until'], name='suppressed_until')],
                'constraints': [models.UniqueConstraint(fields=('digest', 'why'), name='one_row_a_reason')],
            },
        ),
        migrations.CreateModel(
            name='Credential',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address', models.EmailField(max_length=254, verbose_name='address')),
                ('state', models.CharField(choices=[('current', 'current'), ('held', 'switched off by a dispute'), ('leaving', 'removed, can still be restored'), ('gone', 'removed')], default='current', max_length=8, verbose_name='state')),
                ('since', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='confirmed')),
                ('removed_at', models.DateTimeField(null=True, verbose_name='removed')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='credentials', to=settings.AUTH_USER_MODEL, verbose_name='account')),
            ],
            options={
                'verbose_name': 'credential',
                'verbose_name_plural': 'credentials',
                'indexes': [models.Index(fields=['user', 'address'], name='credential_user_address')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'current')), fields=('user', 'address'), name='one_current_credential')],
            },
        ),
        migrations.CreateModel(
            name='Device',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('browser', models.CharField(blank=True, max_length=64, verbose_name='browser')),
                ('system', models.CharField(blank=True, max_length=64, verbose_name='system')),
                ('first_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='first sign-in')),
                ('last_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='last sign-in')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='devices', to=settings.AUTH_USER_MODEL, verbose_name='account')),
            ],
            options={
                'verbose_name': 'known device',
                'verbose_name_plural': 'known devices',
                'ordering': ['-last_at'],
                'constraints': [models.UniqueConstraint(fields=('user', 'browser', 'system'), name='one_row_a_device')],
            },
        ),
        migrations.CreateModel(
            name='DigestEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('job_type', models.CharField(max_length=64, verbose_name='type')),
                ('kind', models.CharField(max_length=32, verbose_name='email')),
                ('address', models.EmailField(max_length=254, verbose_name='address')),
                ('details', models.JSONField(default=dict, verbose_name='details')),
                ('due_at', models.DateTimeField(verbose_name='due')),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL, verbose_name='account')),
            ],
            options={
                'indexes': [models.Index(fields=['due_at'], name='digest_due')],
            },
        ),
        migrations.CreateModel(
            name='SignIn',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='at')),
                ('method', models.CharField(choices=[('password', 'password'), ('github', 'GitHub'), ('admin', 'administration'), ('code', 'started by the site')], max_length=32, verbose_name='method')),
                ('ip', models.GenericIPAddressField(null=True, verbose_name='IP address')),
                ('browser', models.CharField(blank=True, max_length=64, verbose_name='browser')),
                ('system', models.CharField(blank=True, max_length=64, verbose_name='system')),
                ('language', models.CharField(max_length=8, verbose_name='language')),
                ('time_zone', models.CharField(max_length=64, verbose_name='time zone')),
                ('email', models.EmailField(blank=True, max_length=254, verbose_name='notified address')),
                ('new_device', models.BooleanField(default=False, verbose_name='new device')),
                ('more_sign_ins', models.PositiveIntegerField(default=0, verbose_name='earlier sign-ins without a notice')),
                ('notice', models.CharField(choices=[('queued', 'on its way'), ('pending', 'will be sent when the queue recovers'), ('limited', 'not sent: too many in an hour'), ('opted_out', 'not sent: turned off'), ('no_address', 'not sent: the account has no address'), ('unverified', 'not sent: the address is not confirmed')], default='queued', max_length=16, verbose_name='notice')),
                ('vouched', models.BooleanField(default=False, verbose_name='from a browser known for a week')),
                ('disputed_at', models.DateTimeField(null=True, verbose_name='disputed')),
                ('voided_at', models.DateTimeField(null=True, verbose_name='link voided by another dispute')),
                ('dispute_pending', models.BooleanField(default=False, verbose_name='emails of the dispute are pending')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='sign_ins', to=settings.AUTH_USER_MODEL, verbose_name='account')),
            ],
            options={
                'verbose_name': 'sign-in',
                'verbose_name_plural': 'sign-ins',
                'ordering': ['-at'],
                'indexes': [models.Index(fields=['user', '-at'], name='signin_user_at'), models.Index(condition=models.Q(('notice', 'pending')), fields=['at'], name='signin_pending'), models.Index(condition=models.Q(('dispute_pending', True)), fields=['disputed_at'], name='signin_dispute_pending')],
            },
        ),
        migrations.RunPython(add_index, remove_index),
    ]
