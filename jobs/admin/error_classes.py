"""The classes of errors in the operator's language; the words of jobs/errors.py travel in links and the API."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from jobs.errors import ErrorClass

NAMES: dict[str, Any] = {
    ErrorClass.TEMPORARY: _("temporary"),
    ErrorClass.UNREACHABLE: _("unreachable"),
    ErrorClass.THROTTLED: _("throttled"),
    ErrorClass.CONFIGURATION: _("configuration"),
    ErrorClass.PERMANENT: _("permanent"),
}


def name(error_class: str) -> str:
    """The class in words; one that is not known stays as it is."""
    return str(NAMES.get(error_class, error_class))
