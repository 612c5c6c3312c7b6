"""The Django app of the queue."""

from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from jobs import log_lines
from jobs.conf import conf, faults

WITHOUT_DJANGO_Q = """The queue needs django-q2. Write in the settings:
    INSTALLED_APPS = [..., "jobs", "django_q"]"""


class JobsConfig(AppConfig):
    name = "jobs"
    verbose_name = _("Jobs")
    default_auto_field = "django.db.models.BigAutoField"

    def __init__(self, *names: Any) -> None:
        super().__init__(*names)
        if wrong := faults():
            raise ImproperlyConfigured("\n".join(["Settings of the queue:", *wrong]))
        # django-q2 reads this setting when its own app is loaded, after this one.
        settings.Q_CLUSTER = conf.cluster

    def import_models(self) -> None:
        """Import the models, which need those of django-q2. Raise ImproperlyConfigured without it."""
        if not apps.is_installed("django_q"):
            raise ImproperlyConfigured(WITHOUT_DJANGO_Q)
        super().import_models()

    def ready(self) -> None:
        from jobs import checks, installation  # noqa: F401  (registers the system checks)
        from jobs.alerts import database_rule, queue_rules, readings, rules
        from jobs.cluster import clusters
        from jobs.core import job_types
        from jobs.schedules import checks as schedule_checks  # noqa: F401
        from jobs.schedules import state
        from jobs.tasks import job_type

        log_lines.configure()
        job_types.register_sweep(clusters.delete_old, clusters.old_clusters)
        job_type.connect()
        readings.register_source(queue_rules.read_queue)
        readings.register_source(clusters.read_clusters)
        readings.register_source(state.read_next_ticks)
        rules.register(database_rule.DATABASE_AWAY, *queue_rules.RULES)
