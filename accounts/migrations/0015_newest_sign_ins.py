from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0014_people")]

    operations = [migrations.AddIndex("signin", models.Index(fields=["-at"], name="signin_newest"))]
