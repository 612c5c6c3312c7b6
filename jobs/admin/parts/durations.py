"""Durations as text: exact when short, rough when long."""

from datetime import datetime, timedelta

from django.utils.translation import gettext as _


def format_duration(span: timedelta | None) -> str:
    """Format a duration; "" for None, and a negative one as 0.

    `0.83 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`
    """
    if span is None:
        return ""
    seconds = max(0.0, span.total_seconds())
    if seconds < 10:
        return _("%s s") % f"{seconds:.2f}"
    whole = int(seconds)
    if whole < 60:
        return _("%s s") % whole
    if whole < 3600:
        return _("%(min)s min %(s)s s") % {"min": whole // 60, "s": whole % 60}
    if whole < 86_400:
        return _("%(h)s h %(min)s min") % {"h": whole // 3600, "min": whole % 3600 // 60}
    return _("%(d)s d %(h)s h") % {"d": whole // 86_400, "h": whole % 86_400 // 3600}


def format_between(start: datetime | None, end: datetime | None) -> str:
    """Format the duration from `start` to `end`; "" when one of them is None."""
    return format_duration(end - start) if start and end else ""


def format_ago(then: datetime | None, now: datetime) -> str:
    """Format the time before `now` as `3 min 20 s ago`; "" for None."""
    return _("%s ago") % format_duration(now - then) if then else ""
