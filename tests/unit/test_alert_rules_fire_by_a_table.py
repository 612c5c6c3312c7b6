"""Each alert rule, by a table: what it reads, and what it then finds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.alerts import rules
from jobs.alerts.queue_rules import NEXT_TICK
from jobs.alerts.readings import Readings

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def readings(
    gauges: dict[Any, float] | None = None, counts: Any = None, before: Any = None, minutes: int = 4
) -> Readings:
    """What a rule reads: gauges by metric or (metric, label), and counts that had other values minutes ago."""
    named = {(key, "") if isinstance(key, str) else key: value for key, value in (gauges or {}).items()}
    history = [] if before is None else [(NOW - timedelta(minutes=minutes), before)]
    return Readings(NOW, named, counts or {}, history)


def sign_ins(quick: int, slow: int) -> dict[Any, float]:
    return {("sign_in", "0.01"): quick, ("sign_in", "0.05"): slow}


DEAD = ("dead", "signin-notification", "exhausted")
LOST = ("attempts", "signin-notification", "lost")
RESTARTS = ("restarts", "host:1:2")
ACCEPTED, UNREACHABLE, PERMANENT = (("mails", outcome, "mx:25") for outcome in ("accepted", "unreachable", "permanent"))

TABLE = [
    ("NotifierNoWorker", readings({"notifier_clusters": 0}), [""]),
    ("NotifierNoWorker", readings({"notifier_clusters": 1}), []),
    ("NotifierQueueStalled", readings({("notifier_oldest_due_seconds", "alert"): 61}), ["alert"]),
    ("NotifierQueueStalled", readings({("notifier_oldest_due_seconds", "alert"): 60}), []),
    ("NotifierBreakerOpen", readings({("notifier_breaker_open", "account-mail"): 1}), ["account-mail"]),
    ("NotifierBreakerOpen", readings(), []),
    ("NotifierTypeIsPaused", readings({("notifier_paused", "account-mail"): 1}), ["account-mail"]),
    ("NotifierLaneIsPaused", readings({("notifier_lane_paused", "bulk"): 1}), ["bulk"]),
    ("NotifierLaneIsPaused", readings({("notifier_lane_paused", "bulk"): 0}), []),
    ("NotifierDeadLetters", readings(counts={DEAD: 16}, before={DEAD: 10}), ["signin-notification: exhausted"]),
    ("NotifierDeadLetters", readings(counts={DEAD: 6}, before={}), ["signin-notification: exhausted"]),
    ("NotifierDeadLetters", readings(counts={DEAD: 15}, before={DEAD: 10}), []),
    ("NotifierDeadLetters", readings(counts={DEAD: 16}, before={DEAD: 10}, minutes=16), []),
    ("NotifierDeadLetters", readings(counts={DEAD: 1000}), []),
    ("NotifierDeadLetters", readings(counts={("dead", "event", "exhausted"): 9}, before={}), []),
    ("NotifierDeadLetters", readings(counts={("dead", "account-mail", "suppressed"): 9}, before={}), []),
    ("NotifierWorkersDie", readings(counts={LOST: 4}, before={LOST: 0}), [""]),
    ("NotifierWorkersDie", readings(counts={LOST: 4}, before={LOST: 1}), []),
    ("NotifierWorkersDie", readings(counts={("attempts", "x", "completed", ""): 99}, before={}), []),
    ("NotifierClusterRestarts", readings(counts={RESTARTS: 4}, before={RESTARTS: 0}), ["host:1:2"]),
    ("NotifierClusterRestarts", readings(counts={RESTARTS: 4}, before={RESTARTS: 1}), []),
    ("NotifierMailServerFails", readings(counts={UNREACHABLE: 4}, before={}), [""]),
    ("NotifierMailServerFails", readings(counts={UNREACHABLE: 3}, before={}), []),
    ("NotifierMailServerFails", readings(counts={UNREACHABLE: 99, ACCEPTED: 1}, before={}), []),
    ("NotifierMailServerFails", readings(counts={UNREACHABLE: 9, ACCEPTED: 7}, before={ACCEPTED: 7}), [""]),
    ("NotifierMailServerFails", readings(counts={PERMANENT: 99}, before={}), []),
    ("NotifierMailIsRefused", readings(counts={PERMANENT: 6, ACCEPTED: 94}, before={}), [""]),
    ("NotifierMailIsRefused", readings(counts={PERMANENT: 5, ACCEPTED: 95}, before={}), []),
    ("NotifierMailIsRefused", readings(counts={PERMANENT: 9, ACCEPTED: 9}, before={}), []),
    ("NotifierProviderOutOfUse", readings({("notifier_provider_breaker_open", "mx:25"): 1}), ["mx:25"]),
    ("NotifierSignInIsSlow", readings(counts=sign_ins(19, 2), before={}), [""]),
    ("NotifierSignInIsSlow", readings(counts=sign_ins(96, 4), before={}), []),
    ("NotifierSignInIsSlow", readings(counts=sign_ins(0, 20), before={}), []),
    ("NotifierEventEndpointOff", readings({"notifier_event_endpoints_off": 1}), [""]),
    ("NotifierEventEndpointOff", readings({"notifier_event_endpoints_off": 0}), []),
    ("NotifierDiskNearlyFull", readings({"notifier_disk_free_bytes": 499_999_999}), [""]),
    ("NotifierDiskNearlyFull", readings({"notifier_disk_free_bytes": 500_000_000}), []),
    ("NotifierScheduleOverdue", readings({(NEXT_TICK, "prune"): NOW.timestamp() - 301}), ["prune"]),
    ("NotifierScheduleOverdue", readings({(NEXT_TICK, "prune"): NOW.timestamp() - 300}), []),
    ("NotifierDown", readings(), []),
]


@pytest.mark.parametrize(("name", "seen", "found"), TABLE)
def test_a_rule_finds_what_the_table_says(name, seen, found):
    rule = rules.get_or_none(name)
    assert rule is not None
    assert rule.find(seen) == found


def test_the_table_has_every_rule():
    assert {name for name, _, _ in TABLE} == {rule.name for rule in rules.all_rules()}


def test_without_readings_nothing_is_found():
    empty = readings({"notifier_clusters": 1})
    assert [rule.name for rule in rules.all_rules() if rule.find(empty)] == []
