"""Errors of `TaskResult.errors` that no task raised."""


class WorkerLost(Exception):
    """The worker died while it ran the task, or lost the database."""


class NotRun(Exception):
    """The queue did not run the task: it expired, its workers had died too often, or an operator discarded it."""
