"""The system check of SCHEDULES."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from jobs.schedules import registry


@register("jobs")
def possible_schedules(**_: Any) -> list[CheckMessage]:
    """Check that every schedule can be followed (jobs.E010): a wrong one would never run."""
    return [
        Error(f"The schedule {fault.name!r}: {fault.what}.", hint=fault.do, id="jobs.E010")
        for fault in registry.faults()
    ]
