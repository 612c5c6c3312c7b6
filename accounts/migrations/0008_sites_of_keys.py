from django.db import migrations


def give_each_key_its_site(apps, schema_editor):
    """Create a site for every name of keys: the source of their jobs."""
    ApiKey, Site = apps.get_model("accounts", "ApiKey"), apps.get_model("accounts", "Site")
    for name in ApiKey.objects.order_by("name").values_list("name", flat=True).distinct():
        site, _ = Site.objects.get_or_create(slug=name, defaults={"name": name[:40]})
        ApiKey.objects.filter(name=name).update(site=site)


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0007_sites"),
    ]

    operations = [
        migrations.RunPython(give_each_key_its_site, migrations.RunPython.noop),
    ]
