from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0012_alerts")]

    operations = [
        migrations.AddField(
            "joblog",
            "traceparent",
            models.CharField(blank=True, db_default="", default="", editable=False, max_length=55),
        ),
    ]
