"""The operators' pages; each module of pages/ registers its own."""

from jobs.admin import alerts  # noqa: F401
from jobs.admin.pages import audit, broker, bulk, clusters, jobs, pauses, schedules  # noqa: F401
