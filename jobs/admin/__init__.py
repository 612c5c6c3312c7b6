"""The operators' pages; each module of pages/ registers its own, in a project that has Django's admin."""

from django.apps import apps

if apps.is_installed("django.contrib.admin"):
    from jobs.admin.pages import audit, broker, bulk, clusters, jobs, pauses  # noqa: F401
