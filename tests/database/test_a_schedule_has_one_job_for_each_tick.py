"""One job for each tick of a schedule: with several clusters, after an outage, a pause, a change of settings."""

import threading
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from jobs.cluster import clusters
from jobs.cluster.heartbeat import Heartbeat, MaintenanceTask
from jobs.core import leases, sql
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog, Status
from jobs.maintenance import retention
from jobs.maintenance.faults import Faults
from jobs.queue.enqueue import Duplicate
from jobs.schedules import actions, cron, registry, state, tasks, ticker
from jobs.schedules.state import LATE_SECONDS, ScheduleState
from jobs.schedules.task_work import TaskWork
from jobs.schedules.ticker import Ticker
from jobs.worker import entry
from tests.support import sample_tasks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]

UTC_ZONE = ZoneInfo("UTC")
EVERY_SECOND, EVERY_MINUTE, HOURLY = "* * * * * *", "* * * * *", "0 * * * *"


def entry_of(expression: str, task: str = "tests.support.sample_tasks.echo", **more: object) -> dict[str, object]:
    return {"task": task, "cron": expression, "timezone": "UTC", **more}


@pytest.fixture
def schedules(settings):
    """Sets SCHEDULES, and returns a ticker as a process that starts now has it."""

    def started(faults: Faults | None = None, **entries: dict[str, object]) -> Ticker:
        settings.SCHEDULES = entries
        newest = Ticker(Faults() if faults is None else faults)
        registry.LOADED = time.monotonic()
        newest.tick_all()
        return newest

    before = registry.LOADED
    yield started
    registry.LOADED = before


def ids() -> list[str]:
    return list(JobLog.objects.order_by("pk").values_list("job_id", flat=True))


def row(name: str = "a") -> ScheduleState:
    return ScheduleState.objects.get(name=name)


def overdue(seconds: float, name: str = "a", expression: str = EVERY_SECOND) -> datetime:
    """Let the first tick that is that old be the schedule's next one, and return it."""
    first = cron.next_tick(expression, UTC_ZONE, sql.now() - timedelta(seconds=seconds))
    ScheduleState.objects.filter(name=name).update(next_tick=first)
    return first


def expected(first: datetime, last: datetime, expression: str = EVERY_SECOND, name: str = "a") -> list[str]:
    found = cron.ticks(expression, UTC_ZONE, first - timedelta(seconds=1), last)
    return [ticker.tick_id(name, at) for at in found]


def test_a_new_schedule_is_due_from_now_on(schedules):
    schedules(a=entry_of(HOURLY))
    assert ids() == []
    assert row().next_tick == cron.next_tick(HOURLY, UTC_ZONE, timezone.now())
    assert row().last_tick is None


def test_a_tick_enqueues_the_task_with_its_arguments_and_lane(schedules):
    every = schedules(a=entry_of(HOURLY, args=["x"], lane="bulk"))
    overdue(5, expression=EVERY_SECOND)
    every.tick_all()
    job = JobLog.objects.order_by("pk").first()
    assert (job.lane, job.job_type) == ("bulk", "task:tests.support.sample_tasks.echo")
    entry.run(job.pk, 1)
    assert sample_tasks.echo.get_result(job.job_id).return_value == "x"


def test_late_ticks_have_a_job_each(schedules):
    every = schedules(a=entry_of(EVERY_SECOND))
    first = overdue(10)
    every.tick_all()
    assert sorted(ids()) == expected(first, row().last_tick)
    assert len(ids()) >= 10
    assert row().next_tick == row().last_tick + timedelta(seconds=1)


def test_after_a_long_interruption_the_latest_missed_tick_alone_has_a_job(schedules):
    every = schedules(a=entry_of(EVERY_MINUTE))
    overdue(3 * 3600, expression=EVERY_MINUTE)
    before = sql.now()
    every.tick_all()
    latest = before.replace(second=0, microsecond=0)
    assert row().last_tick - latest in (timedelta(0), timedelta(minutes=1))
    assert ids() == [ticker.tick_id("a", row().last_tick)]
    assert row().next_tick == row().last_tick + timedelta(minutes=1)


def test_the_limit_between_late_and_missed(settings):
    settings.SCHEDULES = {"a": entry_of(EVERY_SECOND)}
    every, now = registry.all_schedules()["a"], datetime(2026, 11, 27, 12, tzinfo=UTC)
    late = timedelta(seconds=LATE_SECONDS)
    assert len(ticker.due_ticks(every, now - late, now)) == LATE_SECONDS + 1
    assert ticker.due_ticks(every, now - late - timedelta(seconds=1), now) == [now]


def test_concurrent_tickers_enqueue_each_tick_once(schedules):
    several = [schedules(a=entry_of(EVERY_SECOND), b=entry_of("*/2 * * * * *")) for _ in range(4)]
    first = overdue(20)
    until = time.monotonic() + 4

    def keep_ticking(one: Ticker) -> None:
        while time.monotonic() < until:
            one.tick_all()
        connection.close()

    threads = [threading.Thread(target=keep_ticking, args=[one]) for one in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mine = [job_id for job_id in sorted(ids()) if job_id.startswith("schedule:a:")]
    assert mine == expected(first, row().last_tick)
    assert len(mine) >= 22


def test_a_tick_whose_job_was_deleted_has_no_second_one(schedules):
    """As after a restore, or when the row of the schedule is written back."""
    every = schedules(a=entry_of(HOURLY))
    first = overdue(3600, expression=HOURLY)
    every.tick_all()
    assert ids() == [ticker.tick_id("a", row().last_tick)]
    done = JobLog.objects.get()
    JobLog.objects.filter(pk=done.pk).update(
        status=Status.COMPLETED, created_at=Now() - timedelta(days=91), processed_at=Now() - timedelta(days=91)
    )
    retention.prune()
    assert ids() == []
    ScheduleState.objects.update(next_tick=first)
    every.tick_all()
    assert ids() == []
    assert row().next_tick > timezone.now()


def test_a_host_with_a_wrong_clock_ticks_by_the_database(schedules, monkeypatch):
    every = schedules(a=entry_of(HOURLY))
    due_at = row().next_tick
    monkeypatch.setattr(time, "time", lambda shift=3600.0, real=time.time: real() + shift)
    monkeypatch.setattr(timezone, "now", lambda: datetime.now(UTC) + timedelta(hours=1))
    every.tick_all()
    assert (ids(), row().next_tick) == ([], due_at)
    schedules(a=entry_of(HOURLY), b=entry_of(HOURLY))
    assert row("b").next_tick == due_at


def test_one_schedule_that_fails_stops_no_other_and_is_named(schedules, monkeypatch):
    faults = Faults()
    every = schedules(faults, a=entry_of(EVERY_SECOND), b=entry_of(EVERY_SECOND))
    usual = TaskWork.enqueue

    def enqueue(work: TaskWork, job_id: str, lane: str) -> JobLog:
        if job_id.startswith("schedule:a:"):
            raise LookupError("there is no such task")
        return usual(work, job_id, lane)

    monkeypatch.setattr(TaskWork, "enqueue", enqueue)
    monkeypatch.setattr(ticker, "RETRY_SECONDS", 0.0)
    overdue(5, "a")
    overdue(5, "b")
    every.tick_all()
    assert {job_id.split(":")[1] for job_id in ids()} == {"b"}
    assert str(faults) == "schedule a"
    assert row().error.startswith("LookupError")
    assert row().failed_at is not None
    monkeypatch.undo()
    every.tick_all()
    assert (str(faults), row().error) == ("", "")
    assert {job_id.split(":")[1] for job_id in ids()} == {"a", "b"}


def test_a_paused_schedule_has_no_ticks_and_makes_none_up(schedules):
    every = schedules(a=entry_of(EVERY_MINUTE))
    assert actions.pause("a", who="saraa", why="maintenance")
    assert not actions.pause("a", who="saraa", why="again")
    overdue(40, expression=EVERY_SECOND)
    every.tick_all()
    assert ids() == []
    assert actions.resume("a", who="saraa")
    assert not actions.resume("a", who="saraa")
    every.tick_all()
    assert ids() == []
    assert row().next_tick > timezone.now()
    acts = list(AuditEntry.objects.order_by("pk").values_list("who", "act", "target"))
    assert acts == [("saraa", "pause", "schedule:a"), ("saraa", "resume", "schedule:a")]


def test_run_now_leaves_the_ticks_alone_and_is_audited(schedules, monkeypatch):
    at = datetime(2026, 11, 27, 12, 0, 0, 500, tzinfo=UTC)
    schedules(a=entry_of(HOURLY))
    due_at = row().next_tick
    job = actions.run_now("a", who="saraa", why="by hand")
    monkeypatch.setattr(actions.sql, "now", lambda: at)
    actions.run_now("a", who="saraa")
    with pytest.raises(Duplicate):
        actions.run_now("a", who="saraa")
    assert job.job_id.startswith("schedule:a:now-")
    assert (row().next_tick, row().last_tick) == (due_at, None)
    assert AuditEntry.objects.first().act == "run_now"
    with pytest.raises(LookupError, match="no schedule 'b'"):
        actions.run_now("b", who="saraa")


def test_a_changed_expression_counts_from_now_and_an_older_process_leaves_it(schedules):
    older = schedules(a=entry_of(EVERY_SECOND))
    newer = schedules(a=entry_of(HOURLY))
    assert row().next_tick == cron.next_tick(HOURLY, UTC_ZONE, timezone.now())
    ScheduleState.objects.update(next_tick=Now() - timedelta(seconds=2))
    older.tick_all()
    assert ids() == []
    newer.tick_all()
    assert len(ids()) == 1


def test_when_the_newer_process_has_gone_the_older_one_ticks_again(schedules):
    older = schedules(a=entry_of(EVERY_SECOND))
    schedules(a=entry_of(HOURLY))
    ScheduleState.objects.update(next_tick=Now() - timedelta(seconds=LATE_SECONDS + 5))
    older.tick_all()
    assert row().spec == f"{EVERY_SECOND} UTC"
    overdue(2)
    older.tick_all()
    assert len(ids()) >= 2


def test_a_removed_schedule_is_due_no_more_and_makes_nothing_up_when_it_is_back(schedules):
    older = schedules(a=entry_of(EVERY_MINUTE))
    schedules()
    assert (row().next_tick, row().is_known) == (None, False)
    older.tick_all()
    schedules(a=entry_of(EVERY_MINUTE))
    assert row().next_tick > timezone.now()
    assert ids() == []


def test_the_same_settings_after_an_outage_keep_the_missed_tick(schedules):
    schedules(a=entry_of(EVERY_MINUTE))
    overdue(3600, expression=EVERY_MINUTE)
    schedules(a=entry_of(EVERY_MINUTE))
    assert len(ids()) == 1


def test_a_heartbeat_wakes_the_ticker_before_a_tick_and_not_else(schedules):
    schedules(a=entry_of(HOURLY))
    notified: list[int] = []
    beat = Heartbeat(
        lambda ask: clusters.record_heartbeat("host:1", in_flight=0, restarts=0, workers=2, version="1", ask=ask),
        MaintenanceTask(lambda: [state.due(ticker.DUE_SOON_SECONDS)], lambda: notified.append(1)),
    )
    beat()
    notified.clear()
    ScheduleState.objects.update(next_tick=Now() + timedelta(seconds=60))
    beat()
    assert notified == []
    ScheduleState.objects.update(next_tick=Now() + timedelta(seconds=10))
    beat()
    assert notified == [1]


def test_the_wait_for_the_next_tick(schedules):
    every = schedules(a=entry_of(HOURLY))
    ScheduleState.objects.update(next_tick=sql.now() + timedelta(seconds=20))
    assert 15 < every.tick_all() <= 20


def test_old_data_are_deleted_by_a_schedule_in_parts(schedules, monkeypatch):
    schedules(prune=entry_of(HOURLY, "jobs.schedules.tasks.prune"))
    first = actions.run_now("prune", who="saraa")
    monkeypatch.setattr(tasks, "PART_SECONDS", -1.0)
    entry.run(first.pk, 1)
    assert not leases.LeaderLease.objects.filter(name=retention.LEASE).exists()
    second = JobLog.objects.get(job_id=f"{first.job_id}.part-2")
    assert row("prune").last_job_id == second.job_id
    monkeypatch.undo()
    entry.run(second.pk, 1)
    assert tasks.prune.get_result(second.job_id).return_value["jobs deleted"] == 0
    assert leases.LeaderLease.objects.filter(name=retention.LEASE).exists()
    assert JobLog.objects.count() == 2


def test_settings_that_changed_between_the_look_and_the_lock_tick_nothing(schedules):
    schedules(a=entry_of(EVERY_SECOND))
    former = registry.all_schedules()["a"]
    schedules(a=entry_of(HOURLY))
    ScheduleState.objects.update(next_tick=Now() - timedelta(seconds=2))
    assert ticker.tick(former) is None
    assert ids() == []


@pytest.mark.postgresql  # SQLite has one writer
def test_while_another_cluster_holds_the_row_a_ticker_goes_on_without_it(schedules):
    every = schedules(a=entry_of(HOURLY), b=entry_of(HOURLY))
    overdue(5, "a")
    overdue(5, "b")
    waits: list[float] = []

    def look() -> None:
        waits.append(every.tick_all())
        connection.close()

    with transaction.atomic():
        ScheduleState.objects.select_for_update().get(name="a")
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(20)
    assert waits == [ticker.BUSY_SECONDS]
    assert {job_id.split(":")[1] for job_id in ids()} == {"b"}
