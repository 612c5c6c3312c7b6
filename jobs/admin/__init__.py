"""The operators' pages: what is wrong, why, and what to press. Nothing in them can be edited by hand."""

from jobs.admin import audit, bulk, clusters, courier, joblog, pauses  # noqa: F401  (each registers its pages)
