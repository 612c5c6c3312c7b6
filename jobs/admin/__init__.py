"""The operators' pages; each module of pages/ registers its own, in a project that has Django's admin."""

from django.apps import apps

if apps.is_installed("django.contrib.admin"):
    from jobs.admin import alerts  # noqa: F401
    from jobs.admin.pages import audit, broker, bulk, clusters, jobs, pauses, schedules  # noqa: F401
