from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class JobsConfig(AppConfig):
    name = "jobs"
    verbose_name = _("Jobs")

    def ready(self) -> None:
        from jobs import (  # noqa: F401  (models, their admin, system checks)
            admin_api_keys,
            api_keys,
            audit,
            bulk,
            checks,
            clusters,
            counters,
            pauses,
            reconciler,
            retention,
            rollups,
            spent,
        )
