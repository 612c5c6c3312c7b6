import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0008_sites_of_keys"),
    ]

    operations = [
        migrations.AlterField(
            model_name="apikey",
            name="site",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="keys", to="accounts.site", verbose_name="site"),
        ),
    ]
