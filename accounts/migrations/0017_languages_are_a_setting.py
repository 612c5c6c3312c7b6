from django.db import migrations, models

import accounts.user


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0016_rotation_and_calls"),
    ]

    operations = [
        migrations.AlterField(
            model_name="user",
            name="language",
            field=models.CharField(
                blank=True, choices=accounts.user.language_choices, max_length=8, verbose_name="language"
            ),
        ),
    ]
