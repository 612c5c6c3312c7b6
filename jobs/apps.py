"""The Django app of the queue."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class JobsConfig(AppConfig):
    name = "jobs"
    verbose_name = _("Jobs")

    def ready(self) -> None:
        from jobs import checks  # noqa: F401  (registers the system checks)
        from jobs.alerts import database_rule, queue_rules, readings, rules
        from jobs.cluster import clusters
        from jobs.core import job_types
        from jobs.schedules import checks as schedule_checks  # noqa: F401
        from jobs.tasks import job_type

        job_types.register_sweep(clusters.delete_old, clusters.old_clusters)
        job_type.connect()
        readings.register_source(queue_rules.read_queue)
        readings.register_source(clusters.read_clusters)
        rules.register(database_rule.DATABASE_AWAY, *queue_rules.RULES)
