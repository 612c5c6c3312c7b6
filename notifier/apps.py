from typing import Any

from django.apps import AppConfig, apps
from django.core.management import call_command
from django.db.models.signals import post_migrate


class NotifierConfig(AppConfig):
    name = "notifier"

    def ready(self) -> None:
        from notifier import checks  # noqa: F401  (registers the system checks)

        # Django sends the signal for apps with models alone, and this one has none.
        jobs = apps.get_app_config("jobs")
        post_migrate.connect(make_cache_table, sender=jobs, dispatch_uid="notifier.cache_table")


def make_cache_table(using: str, **_: Any) -> None:
    """The database cache's table comes with `migrate`; nothing happens when it is there or the cache is Redis."""
    call_command("createcachetable", database=using, verbosity=0)
