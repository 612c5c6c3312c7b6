from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0017_languages_are_a_setting")]

    operations = [migrations.AddIndex("signin", models.Index(fields=["-at"], name="signin_newest"))]
