"""Dates of the operators' pages: one format for each language, that of its short date, with a clock of 24 hours."""

import re
from datetime import datetime

from django import template
from django.utils.formats import date_format, get_format
from django.utils.timezone import localtime

register = template.Library()
YEAR = re.compile(r"[^a-zA-Z]?[Yy]$|^[Yy][^a-zA-Z]?")


@register.filter
def second(at: datetime | None) -> str:
    """Return `2025.12.19 16:03:11` in the active language; "" for no time."""
    return _format(at, "{day} H:i:s")


@register.filter
def minute(at: datetime | None) -> str:
    """Return `2025.12.19 16:03` in the active language; "" for no time."""
    return _format(at, "{day} H:i")


@register.filter
def minute_of_year(at: datetime | None) -> str:
    """Return `12.19 16:03` in the active language, for the axis of a chart; "" for no time."""
    return _format(at, "{short} H:i")


@register.filter
def clock(at: datetime | None) -> str:
    """Return `16:03:11`; "" for no time."""
    return _format(at, "H:i:s")


@register.filter
def short_clock(at: datetime | None) -> str:
    """Return `16:03`; "" for no time."""
    return _format(at, "H:i")


def _format(at: datetime | None, pattern: str) -> str:
    day = get_format("SHORT_DATE_FORMAT")
    return date_format(localtime(at), pattern.format(day=day, short=YEAR.sub("", day))) if at else ""
