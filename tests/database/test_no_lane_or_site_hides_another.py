"""What a lane, a site or a pause leaves behind never keeps the messages of another from being fetched or replaced."""

import time
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone
from django_q.models import OrmQ

from jobs.brokers import listener, orm
from jobs.brokers.room import ALL_LANES, Room
from jobs.core import job_types, pauses
from jobs.core.job import JobLog, Status
from jobs.core.pauses import URGENT_LANES
from jobs.core.scoreboard import set_context
from jobs.core.sql import from_now
from jobs.maintenance import reconciler
from jobs.queue import actions
from tests.support import sample_types

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


@pytest.fixture(autouse=True)
def handled():
    set_context("host:1")
    with sample_types.registered() as recorder:
        yield recorder


@pytest.mark.parametrize("key", ["notifier-express", "notifier:", "other-cluster", "notifier-express:shop"])
def test_a_message_of_a_queue_that_no_longer_exists_stops_no_lane(key):
    sample_types.enqueue("a")
    OrmQ.objects.create(key=key, payload="x", lock=from_now(60))
    assert orm.OrmBroker().dequeue()


def test_a_job_names_its_site():
    with pytest.raises(ValueError, match="source"):
        sample_types.enqueue("a", source="")


def test_many_jobs_without_a_message_get_one_each_and_the_sweep_ends(monkeypatch):
    monkeypatch.setattr(reconciler, "SWEEP_CHUNK", 10)
    due = {"run_at": from_now(-60), "expires_at": from_now(3600), "max_attempts": 5}
    for number in range(25):
        JobLog.objects.create(job_id=f"j{number}", job_type=sample_types.NAME, user_id="1", **due)
    assert reconciler.requeue_orphans(slack=timedelta(0)) == 25
    assert OrmQ.objects.count() == 25


def test_a_lost_message_of_a_small_site_is_found_behind_the_backlog_of_a_big_one():
    sample_types.enqueue("big", source="big")
    sample_types.enqueue("small", source="small")
    OrmQ.objects.filter(key="notifier:small").delete()
    OrmQ.objects.update(lock=from_now(-7200))
    JobLog.objects.filter(job_id="big").update(run_at=from_now(-7200))
    JobLog.objects.filter(job_id="small").update(run_at=from_now(-600))
    assert reconciler.requeue_orphans() == 1
    assert set(OrmQ.objects.values_list("key", flat=True)) == {"notifier:big", "notifier:small"}


def test_expired_leases_of_a_paused_lane_hold_up_no_other(monkeypatch):
    monkeypatch.setattr(reconciler, "SWEEP_CHUNK", 3)
    for number in range(3):
        sample_types.enqueue(f"paused-{number}", lane="bulk")
    free = sample_types.enqueue("free")
    OrmQ.objects.all().delete()
    JobLog.objects.update(status=Status.PROCESSING, attempt_count=1, lease_until=from_now(-60))
    JobLog.objects.filter(pk=free.pk).update(lease_until=from_now(-30))
    actions.pause("lane:bulk", who="boss", why="x")
    assert reconciler.rescue_expired_leases() == 1
    assert OrmQ.objects.get().key == "notifier"


def test_a_database_that_goes_away_while_workers_are_busy_is_asked_once_a_second(monkeypatch):
    broker, room = orm.OrmBroker(), [URGENT_LANES]
    monkeypatch.setattr(Room, "lanes", lambda _: room[0])
    assert broker.dequeue() == []  # it has looked for urgent messages only

    def away(_: object) -> None:
        raise OperationalError("refused")

    monkeypatch.setattr(listener.Listener, "listen", away)
    room[0], calls, until = ALL_LANES, 0, time.monotonic() + 1.0
    while time.monotonic() < until:
        broker.dequeue()
        calls += 1
    assert calls < 20


def test_a_pause_of_all_email_extends_a_shorter_one():
    first = job_types.mail_types()[0]
    assert actions.pause(first, who="boss", why="x", until=timezone.now() + timedelta(hours=1))
    assert actions.pause(actions.ALL_MAIL, who="boss", why="leak")
    pauses.JobTypeState.objects.filter(paused_until__isnull=False).update(paused_until=from_now(-1))
    assert pauses.paused_types().filter(job_type=first).exists()
    assert not actions.pause(first, who="boss", why="x", until=timezone.now() + timedelta(hours=1)), "it is longer"
