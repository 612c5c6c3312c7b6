"""An idle cluster asks one question every few seconds; whatever there is to do, the question finds it."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django_q.models import OrmQ

from accounts.models import Notice, SignIn, User
from jobs import board, broker, bulk, clusters, pauses, pulse, reconciler, rollups
from jobs.errors import Failure
from jobs.models import JobLog, Reason, Status, from_now
from jobs.pulse import Chore
from tests import job_types
from tests.operators import job, tried
from tests.tables import locked, renamed

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]

NOTHING: set[str] = set()


@pytest.fixture
def woken():
    return set()


@pytest.fixture
def beat(woken):
    """A heartbeat as the keeper makes it; it tells which chores it woke."""
    asked = {"reconcile": reconciler.due, "roll up": rollups.due, "replay": bulk.due, "fetch": broker.overdue}
    chores = (Chore(due, lambda name=name: woken.add(name)) for name, due in asked.items())
    pulsing = pulse.Pulse(_beat, *chores)
    reconciler.take_turn(rollups.TURN, 0)
    pulsing()  # the first one makes the row, and wakes everything

    def once():
        woken.clear()
        pulsing()
        return woken

    yield once
    connection.close()  # it was told the heartbeat's patience, which the end of a test must not share


def _beat(ask):
    return clusters.beat("host:1", in_flight=3, restarts=0, workers=2, version="1", ask=ask)


def long_ago(seconds=600):
    return Now() - timedelta(seconds=seconds)


def test_the_first_beat_wakes_every_chore(beat, woken):
    assert woken == {"reconcile", "roll up", "replay", "fetch"}


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


def owed(**values):
    user = User.objects.create_user("bat")
    SignIn.objects.create(user=user, method="password", language="mn", time_zone="UTC", **values)


def old_cluster():
    clusters.beat("gone:1", in_flight=0, restarts=0, workers=2, version="1")
    clusters.Cluster.objects.filter(name="gone:1").update(seen_at=long_ago(90_000))


@pytest.mark.parametrize(
    "something",
    [
        lapsed,
        forgotten,
        breaker,
        unreachable,
        lambda: owed(notice=Notice.OWED),
        lambda: owed(disputed_at=Now(), dispute_owed=True),
        old_cluster,
    ],
    ids=["lease", "no message", "breaker", "unreachable", "notice owed", "dispute owed", "old cluster"],
)
def test_what_the_reconciler_would_find_wakes_it(beat, something):
    assert "reconcile" not in beat()
    something()
    assert "reconcile" in beat()
    reconciler.sweep()


def test_a_paused_type_wakes_nobody(beat):
    forgotten()
    pauses.pause(JobLog.objects.get().job_type, who="op", why="")
    assert "reconcile" not in beat()


@pytest.mark.parametrize("status", [Status.ENQUEUED, Status.FAILED, Status.PROCESSING])
def test_while_jobs_wait_or_run_it_is_counted(beat, status):
    job("a", status)
    assert "roll up" in beat()


@pytest.mark.parametrize("settled", [Status.COMPLETED, Status.DLQ])
def test_what_was_settled_is_counted_at_once_and_again_when_nothing_can_come_late(beat, settled):
    job("a", settled)

    def turned(since_the_job, ago):
        """So long after the job was settled a turn was taken, and that long ago."""
        JobLog.objects.update(processed_at=long_ago(ago + since_the_job))
        reconciler.Turn.objects.update(taken_at=long_ago(ago))
        return beat()

    assert "roll up" in turned(since_the_job=-5, ago=10)
    assert "roll up" not in turned(since_the_job=5, ago=10)
    assert "roll up" in turned(since_the_job=5, ago=40)
    assert "roll up" not in turned(since_the_job=35, ago=40)
    assert not rollups.behind()
    turned(since_the_job=-5, ago=600)
    assert rollups.behind()


def test_a_failed_attempt_is_counted(beat):
    tried(job("a", Status.DISCARDED), 1)
    assert "roll up" in beat()


def test_an_open_bulk_replay_is_worked_off_although_nobody_told(beat):
    bulk.BulkReplay.objects.create(who="op")
    assert "replay" in beat()
    bulk.BulkReplay.objects.update(state=bulk.BulkReplay.State.DONE)
    assert "replay" not in beat()


def test_a_message_that_nobody_told_of_is_fetched_although_the_pusher_sleeps(beat, monkeypatch):
    """As when whoever put it was killed between the commit and the call."""
    board.renew()
    courier = broker.Courier()
    assert courier.dequeue() == []
    monkeypatch.setattr(courier, "_look_at", courier._look_at + 300)
    with job_types.registered():
        monkeypatch.setattr(broker, "wake", lambda: None)
        job_types.enqueue("a")
        assert courier.dequeue() == []
        assert "fetch" not in beat(), "it may be on its way"
        OrmQ.objects.update(lock=Now() - broker.OVERDUE - timedelta(seconds=1))
        assert "fetch" in beat()
        board.current.call()
        assert len(courier.dequeue()) == 1
        assert courier.dequeue() == [], "called once, looked once"


@pytest.mark.parametrize("table", ["job_logs", "accounts_signin", "django_q_ormq"])
def test_with_a_table_gone_the_cluster_lives_and_everything_is_tried(beat, table):
    with renamed(table):
        assert beat() == {"reconcile", "roll up", "replay", "fetch"}
    assert clusters.alive().exists()


@pytest.mark.skipif(settings.SQLITE, reason="SQLite locks the whole file")
def test_with_a_table_locked_the_cluster_lives(beat, monkeypatch):
    monkeypatch.setattr(pulse, "PATIENCE_MS", 200)
    connection.close()
    with locked("job_logs"):
        assert "reconcile" in beat()
    assert beat() == NOTHING
