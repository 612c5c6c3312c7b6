"""The states of alert rules in the database: fire, remind, clear, each once, also with several evaluators."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from jobs.alerts import channels, evaluator, readings, rules
from jobs.alerts.channels import Alert, NotSent
from jobs.alerts.readings import AlertSample, Readings
from jobs.alerts.states import AlertState
from jobs.cluster import clusters
from jobs.core import counters
from jobs.core.counters import Count
from jobs.schedules.state import ScheduleState

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]
RULE = "NotifierNoWorker"


class Recorder:
    """A channel that keeps what it is given, and fails on command."""

    def __init__(self, name: str) -> None:
        self.name = self.label = name
        self.alerts: list[Alert] = []
        self.broken = False

    def send(self, alert: Alert) -> None:
        if self.broken:
            raise NotSent("broken")
        self.alerts.append(alert)

    @property
    def notices(self) -> list[tuple[str, str]]:
        return [(alert.rule.name if alert.rule else "", str(alert.notice)) for alert in self.alerts]


@pytest.fixture
def recorders(monkeypatch):
    made = [Recorder("one"), Recorder("two")]
    monkeypatch.setattr(channels, "configured", lambda: made)
    return made


def seen(alive: int = 0, **gauges: float) -> Readings:
    return Readings(timezone.now(), {("notifier_clusters", ""): alive, **{(k, ""): v for k, v in gauges.items()}})


def age(**columns: timedelta) -> None:
    """Move times of the row of RULE into the past."""
    row = AlertState.objects.get(pk=RULE)
    values = {name: getattr(row, name) - by for name, by in columns.items()}
    AlertState.objects.filter(pk=RULE).update(**values)


def fire() -> None:
    evaluator.evaluate(seen())
    age(pending_since=timedelta(seconds=31))
    evaluator.evaluate(seen())
    evaluator.send_notices()


def test_a_rule_fires_only_when_its_condition_has_held_for_its_time(recorders):
    evaluator.evaluate(seen())
    age(pending_since=timedelta(seconds=20))
    evaluator.evaluate(seen())
    assert AlertState.objects.firing().count() == 0
    age(pending_since=timedelta(seconds=11))
    evaluator.evaluate(seen())
    assert AlertState.objects.firing().get().name == RULE


def test_a_condition_that_ends_in_time_starts_again_from_zero(recorders):
    evaluator.evaluate(seen())
    age(pending_since=timedelta(seconds=29))
    evaluator.evaluate(seen(alive=1))
    evaluator.evaluate(seen())
    age(pending_since=timedelta(seconds=29))
    evaluator.evaluate(seen())
    evaluator.send_notices()
    assert recorders[0].notices == []


def test_one_notice_when_it_fires_and_one_when_it_clears(recorders):
    fire()
    for _ in range(3):
        evaluator.evaluate(seen())
        evaluator.send_notices()
    assert [each.notices for each in recorders] == [[(RULE, "firing")]] * 2
    began = AlertState.objects.get(pk=RULE).firing_since
    for _ in range(3):
        evaluator.evaluate(seen(alive=1))
        evaluator.send_notices()
    assert [each.notices for each in recorders] == [[(RULE, "firing"), (RULE, "cleared")]] * 2
    assert recorders[0].alerts[1].since == began


@pytest.mark.postgresql
def test_two_evaluators_at_the_same_time_send_one_notice(recorders):
    evaluator.evaluate(seen())
    age(pending_since=timedelta(seconds=31))
    barrier = threading.Barrier(4)

    def work() -> None:
        try:
            barrier.wait(10)
            evaluator.evaluate(seen())
            evaluator.send_notices()
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [each.notices for each in recorders] == [[(RULE, "firing")]] * 2


def test_a_channel_that_fails_is_tried_again_and_the_other_is_not(recorders):
    recorders[0].broken = True
    fire()
    assert [each.notices for each in recorders] == [[], [(RULE, "firing")]]
    recorders[0].broken = False
    evaluator.send_notices()
    assert recorders[0].notices == []  # another evaluator may be sending it
    age(taken_at=timedelta(seconds=56))
    evaluator.send_notices()
    assert [each.notices for each in recorders] == [[(RULE, "firing")]] * 2
    assert AlertState.objects.get(pk=RULE).unsent == []


def test_an_evaluator_that_dies_while_it_sends_leaves_the_notice_to_another(recorders):
    evaluator.evaluate(seen())
    age(pending_since=timedelta(seconds=31))
    evaluator.evaluate(seen())
    assert AlertState.objects.get(pk=RULE).take()
    evaluator.send_notices()
    assert recorders[0].notices == []
    age(taken_at=timedelta(seconds=56))
    evaluator.send_notices()
    assert recorders[0].notices == [(RULE, "firing")]


def test_a_rule_that_still_fires_is_repeated_after_a_day(recorders):
    fire()
    age(noticed_at=timedelta(hours=23))
    evaluator.evaluate(seen())
    evaluator.send_notices()
    assert recorders[0].notices == [(RULE, "firing")]
    age(noticed_at=timedelta(hours=2))
    evaluator.evaluate(seen())
    evaluator.send_notices()
    evaluator.evaluate(seen())
    evaluator.send_notices()
    assert recorders[0].notices == [(RULE, "firing"), (RULE, "reminder")]


def test_the_heartbeat_is_silent_while_an_urgent_rule_fires(recorders, monkeypatch):
    pings: list[int] = []
    monkeypatch.setattr(channels, "ping", lambda: pings.append(1))
    evaluator.send_heartbeat()
    evaluator.send_heartbeat()
    assert pings == [1]  # once a minute
    fire()
    monkeypatch.setattr(evaluator, "PING_SECONDS", 0)
    evaluator.send_heartbeat()
    assert pings == [1]
    evaluator.evaluate(seen(alive=1))
    evaluator.send_heartbeat()
    assert pings == [1, 1]


def test_a_fresh_install_with_a_worker_fires_nothing(recorders):
    clusters.record_heartbeat("host:1:1", in_flight=0, restarts=0, workers=2, version="1")
    now = readings.read()
    assert [rule.name for rule in rules.all_rules() if rule.find(now)] == []
    evaluator.evaluate()
    assert not AlertState.objects.exists() or not AlertState.objects.filter(pending_since__isnull=False).exists()


def test_a_fresh_install_without_a_worker_finds_that_alone(recorders):
    now = readings.read()
    assert [rule.name for rule in rules.all_rules() if rule.find(now)] == [RULE]


def test_an_overdue_schedule_is_found_unless_it_is_paused_or_removed(recorders):
    clusters.record_heartbeat("host:1:1", in_flight=0, restarts=0, workers=2, version="1")
    late = {"spec": "0 * * * * UTC", "loaded_at": timezone.now(), "next_tick": timezone.now() - timedelta(minutes=6)}
    ScheduleState.objects.create(name="weekly-digest", **late)
    ScheduleState.objects.create(name="forgotten", **late, paused_at=timezone.now())
    ScheduleState.objects.create(name="soon", **late | {"next_tick": timezone.now()})
    ScheduleState.objects.create(name="removed", **late | {"spec": "", "next_tick": None})
    found = {rule.name: rule.find(now) for now in [readings.read()] for rule in rules.all_rules()}
    assert {name: subjects for name, subjects in found.items() if subjects} == {
        "NotifierScheduleOverdue": ["weekly-digest"]
    }


def test_counters_are_compared_with_their_values_of_the_last_minutes(recorders):
    dead = Count("dead", ("signin-notification", "exhausted"))
    counters.add({dead: (10, 0.0)})
    assert readings.read().increases("dead", timedelta(minutes=15)) == {}
    counters.add({dead: (7, 0.0)})
    grown: dict[Any, float] = readings.read().increases("dead", timedelta(minutes=15))
    assert grown == {("signin-notification", "exhausted"): 7}
    assert AlertSample.objects.count() == 1  # one a minute


def test_old_samples_are_deleted(recorders):
    AlertSample.objects.create(at=timezone.now() - timedelta(minutes=66), values={})
    readings.read()
    assert AlertSample.objects.count() == 1


def test_a_rule_that_this_version_does_not_have_is_forgotten(recorders):
    AlertState.objects.create(name="NotifierOfYesterday", firing_since=timezone.now(), unsent=["one"])
    evaluator.evaluate(seen(alive=1))
    evaluator.send_notices()
    assert recorders[0].notices == []
    assert not AlertState.objects.filter(pk="NotifierOfYesterday").exists()


def test_one_of_two_evaluators_that_saw_the_same_notice_takes_it(recorders):
    AlertState.objects.hold(RULE, "", 0, ["one"])
    first, second = AlertState.objects.get(pk=RULE), AlertState.objects.get(pk=RULE)
    assert [first.take(), second.take()] == [True, False]


def test_a_late_evaluator_settles_no_newer_notice(recorders):
    AlertState.objects.hold(RULE, "", 0, ["one"])
    late = AlertState.objects.get(pk=RULE)
    assert late.take()
    AlertState.objects.clear(RULE, ["one"])
    late.settle([])
    assert AlertState.objects.get(pk=RULE).unsent == ["one"]
