"""One evaluation of every rule: new states, then the notices that are due, then the heartbeat."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime

import structlog
from django.utils import timezone

from jobs.alerts import channels, rules
from jobs.alerts.channels import Alert, Channel, NotSent
from jobs.alerts.readings import Readings, read
from jobs.alerts.rules import PAGE, Rule
from jobs.alerts.states import AlertNotice, AlertState
from jobs.core import counters, leases

log = structlog.get_logger("jobs.alerts")

LEASE, HEARTBEAT_LEASE = "alerts", "alert-heartbeat"
PING_SECONDS = 55
Network = Callable[[], AbstractContextManager[None]]
"""Returns what surrounds each exchange with a receiver, which may take seconds."""


def evaluate(readings: Readings | None = None) -> None:
    """Judge every rule and record its state. Raise django.db.Error when the database is away."""
    seen = read() if readings is None else readings
    names = [channel.name for channel in channels.configured()]
    for rule in rules.all_rules():
        found = rule.find(seen)
        if found:
            if AlertState.objects.hold(rule.name, ", ".join(filter(None, found)), rule.hold_seconds, names):
                log.error("alert fires", alert=rule.name)
        elif AlertState.objects.clear(rule.name, names):
            log.info("alert cleared", alert=rule.name)
    AlertState.objects.remind(names)
    AlertState.objects.forget_unknown([rule.name for rule in rules.all_rules()])


def send_notices(network: Network = nullcontext) -> None:
    """Send the notices that are due. Those that a channel does not take are tried again a minute later."""
    for state in AlertState.objects.unsent().order_by("noticed_at"):
        rule = rules.get_or_none(state.name)
        if rule and state.take():
            with network():
                unsent = send(_alert_of(rule, state), state.unsent)
            state.settle(unsent)
            counters.write_noted()


def send(alert: Alert, names: Sequence[str]) -> list[str]:
    """Send an alert through the channels with these names; return those that did not take it."""
    chosen = [channel for channel in channels.configured() if channel.name in names]
    return [channel.name for channel in chosen if not _is_sent(channel, alert)]


def _is_sent(channel: Channel, alert: Alert) -> bool:
    try:
        channel.send(alert)
    except NotSent as failed:
        log.warning("alert not sent", channel=channel.name, alert=alert.id, error=str(failed))
        return False
    log.info("alert sent", channel=channel.name, alert=alert.id)
    return True


def send_heartbeat(network: Network = nullcontext) -> None:
    """Report that all is well, once a minute, unless a rule of severity PAGE fires."""
    urgent = [rule.name for rule in rules.all_rules() if rule.severity == PAGE]
    if AlertState.objects.firing().filter(name__in=urgent).exists():
        return
    if leases.acquire(HEARTBEAT_LEASE, PING_SECONDS):
        with network():
            try:
                channels.ping()
            except NotSent as failed:
                log.warning("heartbeat not sent", error=str(failed))


def _alert_of(rule: Rule, state: AlertState) -> Alert:
    notice = AlertNotice(state.notice)
    began: datetime | None = state.fired_at if notice == AlertNotice.CLEARED else state.firing_since
    noticed = state.noticed_at or timezone.now()
    return Alert(rule, notice, began or noticed, noticed, state.subject)
