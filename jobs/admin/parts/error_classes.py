"""The kinds of failures in the operator's language; their values travel in links, metrics and the API."""

from jobs.core.attempts import JobAttempt
from jobs.core.errors import ErrorClass

LABELS = {**dict(ErrorClass.choices), JobAttempt.Outcome.LOST: JobAttempt.Outcome.LOST.label}


def label_of(error_class: str) -> str:
    """Return the kind in words; an unknown one as it is."""
    return str(LABELS.get(error_class, error_class))
