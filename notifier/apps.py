"""The site's Django app: its system checks, and what `migrate` does in addition to migrations."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.admin import apps as admin
from django.contrib.admin import autodiscover
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.signals import post_migrate, pre_migrate

from jobs.core.sql import engines

# Migrations that 0.9.0 merged into each app's 0001_initial. Later versions have none of these names.
MERGED_MIGRATIONS = {("jobs", "0002_message_index"), ("accounts", "0002_devices_sessions_disputes")}


class AdminConfig(admin.SimpleAdminConfig):
    """Django's admin, whose sign-in asks for a second factor. Its pages are loaded with the URLs: a worker has none."""

    default_site = "accounts.factors.staff.StaffSite"

    def ready(self) -> None:
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(check_pages, checks.Tags.admin)


def check_pages(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[checks.CheckMessage]:
    """Load the pages, and check them as Django does."""
    autodiscover()
    return list(check_admin_app(app_configs, **options))


class NotifierConfig(AppConfig):
    name = "notifier"

    def ready(self) -> None:
        from notifier import checks as _own  # noqa: F401  (registers the system checks)

        if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
            from notifier.ops import traces

            traces.start()
        if settings.SENTRY_DSN:
            from notifier.ops import error_reports

            error_reports.start()
        # Django sends these signals only for apps with models, and this one has none.
        jobs = apps.get_app_config("jobs")
        pre_migrate.connect(refuse_old_database, sender=jobs, dispatch_uid="notifier.old_database")
        post_migrate.connect(create_cache_table, sender=jobs, dispatch_uid="notifier.cache_table")


def refuse_old_database(using: str, **_: Any) -> None:
    """Stop `migrate` on a database from before 0.9.0: its tables differ, and no migration leads to today's."""
    connection = connections[using]
    if MERGED_MIGRATIONS & set(MigrationRecorder(connection).applied_migrations()):
        name = connection.settings_dict["NAME"]
        cure = f"Delete {name}" if engines.is_file(connection) else "Create a new database, name it in DATABASE_URL"
        raise CommandError(
            f"The database {name} was made by a version before 0.9.0 and cannot be upgraded. "
            f"{cure}, and run the command again."
        )


def create_cache_table(using: str, **_: Any) -> None:
    """Create the table of the database cache. Does nothing when it exists or the cache is Redis."""
    call_command("createcachetable", database=using, verbosity=0)
