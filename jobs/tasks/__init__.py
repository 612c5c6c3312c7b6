"""Django's Tasks interface on the queue: `TASKS = {"default": {"BACKEND": "jobs.tasks.Backend"}}`; see docs/tasks.md."""

from jobs.tasks.backend import Backend
from jobs.tasks.options import Unique, options

__all__ = ["Backend", "Unique", "options"]
