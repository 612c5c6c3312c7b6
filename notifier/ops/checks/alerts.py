"""Checks of the receivers of alerts: ALERT_TO, ALERT_WEBHOOK and HEARTBEAT_URL."""

from urllib.parse import urlsplit

from django.conf import settings

from accounts.events import guard
from notifier.ops.checks.findings import Finding, Findings, Verdict

URLS = ("ALERT_WEBHOOK", "HEARTBEAT_URL")
RESOLVE_SECONDS = 5.0


def check_alerts() -> Findings:
    """Check that alerts reach an operator also when the mail server fails. Sends nothing."""
    urls = {name: getattr(settings, name) for name in URLS if getattr(settings, name)}
    if not (urls or settings.ALERT_TO):
        message = "are off: no setting names a receiver, so only Prometheus can report that email stops"
        yield Finding("alerts", Verdict.UNKNOWN, message, "set ALERT_TO, and ALERT_WEBHOOK or HEARTBEAT_URL")
        return
    unknown = [name for name, url in urls.items() if not _is_found(url)]
    for name in unknown:
        message = f"the host of {name} is not found: nothing can be sent to it"
        yield Finding("alerts", Verdict.FAULT, message, f"correct {name}, then run: manage.py alerts test")
    if not urls:
        message = "go by email alone: when the mail server fails, no alert arrives"
        yield Finding("alerts", Verdict.WARNING, message, "set ALERT_WEBHOOK or HEARTBEAT_URL as well")
    elif not unknown:
        addresses = f"{len(settings.ALERT_TO)} address(es)"
        yield Finding("alerts", Verdict.OK, f"go to {', '.join([addresses, *urls])}; try it: manage.py alerts test")


def _is_found(url: str) -> bool:
    """Return whether this machine finds an address for the host of a URL."""
    parts = urlsplit(url)
    try:
        guard.resolve(parts.hostname or "", guard.PORTS[parts.scheme], RESOLVE_SECONDS, allow_private=True)
    except OSError:
        return False
    return True
