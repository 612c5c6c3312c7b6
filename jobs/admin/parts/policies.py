"""The policy of a job type in words."""

from datetime import timedelta

from django.utils.translation import gettext as _

from jobs.admin.parts.durations import format_duration
from jobs.core import job_types
from jobs.core.job_types import Unique
from jobs.core.pauses import Lane


def describe_policy(name: str) -> list[tuple[str, str]]:
    """Return the policy of a type as (label, value) pairs; none when this version of the site has no such type."""
    kind = job_types.get_or_none(name)
    if kind is None:
        return []
    policy = kind.policy
    described = [
        (_("Lane"), str(dict(Lane.choices).get(kind.lane, kind.lane))),
        (_("Attempts"), str(policy.attempts)),
        (_("Waits between them"), ", ".join(map(_format_seconds, policy.waits[: policy.attempts - 1])) or _("none")),
        (_("Expires after"), _format_seconds(policy.lifetime)),
        (_("Time limit"), _format_seconds(policy.time_limit)),
        (_("Lease"), _format_seconds(policy.lease)),
    ]
    return [*described, (_("Unique"), _describe_unique(policy.unique))] if policy.unique else described


def _describe_unique(unique: Unique) -> str:
    compared = ", ".join(unique.key) or _("the whole payload")
    if not unique.period:
        return _("%s; until the first job is settled") % compared
    period = {"keys": compared, "period": _format_seconds(unique.period)}
    return _("%(keys)s; until the first job is settled, and for %(period)s after its enqueue") % period


def _format_seconds(seconds: float) -> str:
    return _("%s s") % f"{seconds:g}" if seconds < 60 else format_duration(timedelta(seconds=seconds))
