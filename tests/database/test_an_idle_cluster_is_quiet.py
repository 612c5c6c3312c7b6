"""An idle cluster asks one question every few seconds; whatever there is to do, the question finds it."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django_q.models import OrmQ

from accounts.sign_in.event import NoticeStatus, SignIn
from accounts.user import User
from jobs.brokers import messages, orm
from jobs.cluster import clusters, heartbeat
from jobs.cluster.heartbeat import MaintenanceTask
from jobs.core import leases, pauses
from jobs.core.errors import Failure
from jobs.core.job import JobLog, Reason, Status
from jobs.core.scoreboard import set_context
from jobs.core.sql import channels, from_now
from jobs.maintenance import reconciler
from jobs.queue import bulk_replay
from jobs.stats import minutes
from tests.support import sample_types
from tests.support.operators import job, tried
from tests.support.tables import locked, renamed

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]

NOTHING: set[str] = set()


@pytest.fixture
def started():
    return set()


@pytest.fixture
def beat(started):
    """A heartbeat as the watchdog makes it; it returns which maintenance tasks it woke."""
    asked = {
        "reconcile": reconciler.due,
        "roll up": minutes.due,
        "replay": bulk_replay.open_replays,
        "fetch": messages.overdue,
    }
    tasks = (MaintenanceTask(due, lambda name=name: started.add(name)) for name, due in asked.items())
    beating = heartbeat.Heartbeat(_beat, *tasks)
    leases.acquire(minutes.LEASE, 0)
    beating()  # the first one makes the row, and wakes everything

    def once():
        started.clear()
        beating()
        return started

    return once


def _beat(ask):
    return clusters.record_heartbeat("host:1", in_flight=3, restarts=0, workers=2, version="1", ask=ask)


def long_ago(seconds=600):
    return Now() - timedelta(seconds=seconds)


def test_the_first_beat_wakes_every_task(beat, started):
    assert started == {"reconcile", "roll up", "replay", "fetch"}


def test_with_nothing_to_do_one_statement_is_all(beat):
    done = job("done", Status.COMPLETED)
    JobLog.objects.filter(pk=done.pk).update(processed_at=long_ago())
    clusters.Cluster.objects.update(seen_at=long_ago(20))
    with CaptureQueriesContext(connection) as asked:
        assert beat() == NOTHING
    assert len(asked) == 1
    cluster = clusters.alive().get()
    assert (cluster.in_flight, clusters.Cluster.objects.filter(seen_at__gt=long_ago(10)).count()) == (3, 1)


def lapsed():
    running = job("a", Status.PROCESSING)
    JobLog.objects.filter(pk=running.pk).update(lease_until=from_now(-1))


def forgotten():
    job("a", Status.ENQUEUED)
    JobLog.objects.update(run_at=from_now(-60))


def breaker():
    pauses.open_breaker("signin-notification", Failure("configuration", "SMTP 535", 535, "535 no", ""))


def unreachable():
    job("a", Status.DLQ, dlq_reason=Reason.EXHAUSTED, error_class="unreachable")
    JobLog.objects.update(processed_at=long_ago())


def pending(**values):
    user = User.objects.create_user("bat")
    SignIn.objects.create(user=user, method="password", language="mn", time_zone="UTC", **values)


def old_cluster():
    clusters.record_heartbeat("gone:1", in_flight=0, restarts=0, workers=2, version="1")
    clusters.Cluster.objects.filter(name="gone:1").update(seen_at=long_ago(90_000))


@pytest.mark.parametrize(
    "something",
    [
        lapsed,
        forgotten,
        breaker,
        unreachable,
        lambda: pending(notice=NoticeStatus.PENDING),
        lambda: pending(disputed_at=Now(), dispute_pending=True),
        old_cluster,
    ],
    ids=["lease", "no message", "breaker", "unreachable", "notice pending", "dispute pending", "old cluster"],
)
def test_what_the_reconciler_would_find_wakes_it(beat, something):
    assert "reconcile" not in beat()
    something()
    assert "reconcile" in beat()
    reconciler.sweep()


def test_a_paused_type_wakes_no_task(beat):
    forgotten()
    pauses.pause(JobLog.objects.get().job_type, who="op", why="")
    assert "reconcile" not in beat()


@pytest.mark.parametrize("status", [Status.ENQUEUED, Status.FAILED, Status.PROCESSING])
def test_while_jobs_wait_or_run_it_is_counted(beat, status):
    job("a", status)
    assert "roll up" in beat()


@pytest.mark.parametrize("settled", [Status.COMPLETED, Status.DLQ])
def test_what_was_settled_is_counted_immediately_and_again_when_nothing_can_come_late(beat, settled):
    job("a", settled)

    def turned(since_the_job, ago):
        """So long after the job was settled a turn was taken, and that long ago."""
        JobLog.objects.update(processed_at=long_ago(ago + since_the_job))
        leases.LeaderLease.objects.update(acquired_at=long_ago(ago))
        return beat()

    assert "roll up" in turned(since_the_job=-5, ago=10)
    assert "roll up" not in turned(since_the_job=5, ago=10)
    assert "roll up" in turned(since_the_job=5, ago=40)
    assert "roll up" not in turned(since_the_job=35, ago=40)
    assert not minutes.is_behind()
    turned(since_the_job=-5, ago=600)
    assert minutes.is_behind()


def test_a_failed_attempt_is_counted(beat):
    tried(job("a", Status.DISCARDED), 1)
    assert "roll up" in beat()


def test_an_open_bulk_replay_is_processed_without_a_notification(beat):
    bulk_replay.BulkReplay.objects.create(who="op")
    assert "replay" in beat()
    bulk_replay.BulkReplay.objects.update(state=bulk_replay.BulkReplay.State.DONE)
    assert "replay" not in beat()


def test_a_message_without_a_notification_is_fetched_although_the_pusher_sleeps(beat, monkeypatch):
    """As when its sender was killed between the commit and the call."""
    context = set_context("host:1")
    broker = orm.OrmBroker()
    assert broker.dequeue() == []
    monkeypatch.setattr(broker, "_look_at", broker._look_at + 300)
    with sample_types.registered():
        monkeypatch.setattr(channels, "notify_after_commit", lambda *_: None)
        with transaction.atomic():
            sample_types.enqueue("a")
        assert broker.dequeue() == []
        assert "fetch" not in beat(), "it may be on its way"
        OrmQ.objects.update(lock=Now() - messages.OVERDUE - timedelta(seconds=1))
        assert "fetch" in beat()
        context.scoreboard.request_look()
        assert len(broker.dequeue()) == 1
        assert broker.dequeue() == [], "called once, looked once"


@pytest.mark.parametrize("table", ["job_logs", "accounts_signin", "django_q_ormq"])
def test_with_a_table_gone_the_cluster_lives_and_everything_is_tried(beat, table):
    with renamed(table):
        assert beat() == {"reconcile", "roll up", "replay", "fetch"}
    assert clusters.alive().exists()


@pytest.mark.postgresql  # SQLite locks the whole file
def test_with_a_table_locked_the_cluster_lives(beat, monkeypatch):
    monkeypatch.setattr(clusters, "HEARTBEAT_TIMEOUT_MS", 200)
    connection.close()
    with locked("job_logs"):
        assert "reconcile" in beat()
    assert beat() == NOTHING
