from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0013_traceparent")]

    operations = [
        migrations.AlterField(
            "auditentry",
            "act",
            models.CharField(
                choices=[
                    ("replay", "replayed"),
                    ("discard", "discarded"),
                    ("bulk_replay", "started a bulk replay"),
                    ("bulk_cancel", "cancelled a bulk replay"),
                    ("pause", "paused"),
                    ("resume", "resumed"),
                    ("reveal", "viewed personal data"),
                    ("create_key", "created an API key"),
                    ("reactivate", "reactivated a suppressed address"),
                    ("revoke_key", "revoked an API key"),
                    ("rotate_key", "rotated an API key"),
                    ("delete_user", "deleted an account"),
                    ("restore_rights", "restored suspended rights"),
                    ("export_user", "exported the data of an account"),
                    ("restore_user", "asked for the return of a former address"),
                    ("remove_factors", "asked for the removal of a second factor"),
                    ("run_now", "ran a schedule"),
                    ("reschedule", "rescheduled"),
                    ("create_site", "created a site"),
                    ("change_site", "changed a site"),
                    ("create_endpoint", "created an event endpoint"),
                    ("change_endpoint", "changed an event endpoint"),
                    ("erase_user", "erased the user of a site"),
                    ("cancel_request", "cancelled a pending request"),
                    ("test_alert", "sent a test alert"),
                    ("check", "tested a part of the installation"),
                ],
                max_length=16,
                verbose_name="act",
            ),
        ),
    ]
