from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial")]

    operations = [
        migrations.AddField("cluster", "kernel", models.CharField(blank=True, db_default="", default="", max_length=100)),
        migrations.AddField("cluster", "process_started", models.BigIntegerField(db_default=0, default=0)),
        migrations.AddField(
            "cluster",
            "failing",
            models.CharField(
                blank=True, db_default="", default="", max_length=255, verbose_name="failing maintenance"
            ),
        ),
    ]
