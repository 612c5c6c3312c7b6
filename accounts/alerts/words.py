"""An alert in words, for every channel: in the language of the site (LANGUAGE_CODE)."""

from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import override

from accounts.mail import dates
from jobs.alerts.channels import Alert
from jobs.alerts.states import AlertNotice


def describe(alert: Alert, language: str = "") -> dict[str, Any]:
    """Return title, summary, action, subject, since, until, runbook and url of an alert; "" for what it has not.

    language: by default LANGUAGE_CODE.
    """
    language = language or settings.LANGUAGE_CODE
    with override(language):
        zone, cleared = dates.get_zone(settings.TIME_ZONE), alert.notice == AlertNotice.CLEARED
        since, until = (dates.format_time(at.isoformat(), zone, language) for at in (alert.since, alert.at))
        rule = alert.rule
        return {
            "title": _title(alert),
            "name": rule.name if rule else "",
            "summary": str(rule.summary) if rule else _("This is a test. Nothing is wrong: this channel works."),
            "action": str(rule.action) if rule and not cleared else "",
            "subject": alert.subject,
            "since": since,
            "until": until if cleared else "",
            "runbook": rule.runbook if rule else "docs/alerts.md",
            "url": settings.SITE_URL.rstrip("/") + reverse("admin:jobs_alertstate_changelist"),
        }


def _title(alert: Alert) -> str:
    if alert.rule is None:
        return _("Test alert")
    match alert.notice:
        case AlertNotice.CLEARED:
            return _("Cleared: %(name)s") % {"name": alert.rule.name}
        case AlertNotice.REMINDER:
            return _("Still firing: %(name)s") % {"name": alert.rule.name}
    return _("Alert: %(name)s") % {"name": alert.rule.name}
