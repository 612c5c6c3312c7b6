"""The first page after log-in: calm when all is well; a warning that says what to do when something is wrong."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.utils import timezone
from django_q.models import OrmQ

from jobs.cluster import clusters
from jobs.core import counters, leases, pauses, sql
from jobs.core.errors import Failure
from jobs.core.job import JobLog, Status
from jobs.maintenance import reconciler
from jobs.stats import minutes, overview
from jobs.stats.minutes import Minute
from tests.support.operators import EVERYTHING, job, signed_in, tried

pytestmark = pytest.mark.django_db


@pytest.fixture
def now():
    """The database's clock; the minutes have just been counted."""
    leases.acquire("rollups", 0)
    return sql.now()


def done(job_id, at, pickup=0.02, run=0.3):
    return job(
        job_id,
        Status.COMPLETED,
        created_at=at - timedelta(seconds=pickup + run),
        run_at=at - timedelta(seconds=pickup + run),
        processing_at=at - timedelta(seconds=run),
        processed_at=at,
    )


def warnings(client, address="/admin/"):
    return [warning.what for warning in client.get(address).context["warnings"]]


def a_cluster():
    clusters.record_heartbeat("host:1", in_flight=0, restarts=0, workers=2, version="1")


def within(seconds: float) -> int:
    """The number of the bucket whose upper bound that is."""
    return counters.BUCKETS.index(seconds)


def test_a_minute_counts_what_happened_in_it(now):
    minute = minutes.floor(now) - timedelta(minutes=3)
    done("a", minute + timedelta(seconds=10))
    done("b", minute + timedelta(seconds=59), pickup=4, run=20)
    dead = job("c", processed_at=minute + timedelta(seconds=5), created_at=minute)
    tried(dead, 1, ended_at=minute + timedelta(seconds=5), error_class="unreachable")
    tried(dead, 2, ended_at=minute + timedelta(seconds=61), outcome="lost", error_class="")
    minutes.count_new_minutes(now)
    row = Minute.objects.get(minute=minute)
    assert (row.completed, row.died, row.failures) == (2, 1, {"unreachable": 1})
    assert [row.pickups[within(0.025)], row.pickups[within(5.0)], sum(row.pickups)] == [1, 1, 2]
    assert [row.runs[within(0.5)], row.runs[within(30.0)], sum(row.runs)] == [1, 1, 2]
    assert Minute.objects.get(minute=minute + timedelta(minutes=1)).failures == {"lost": 1}


def test_a_turn_taken_twice_or_late_changes_nothing_but_what_is_new(now):
    minute = minutes.floor(now) - timedelta(minutes=30)
    done("a", minute)
    minutes.count_new_minutes(now - timedelta(minutes=20))
    minutes.count_new_minutes(now - timedelta(minutes=20))
    assert Minute.objects.get(minute=minute).completed == 1
    done("b", minute + timedelta(minutes=15))  # no cluster counted meanwhile
    minutes.count_new_minutes(now)
    assert sum(Minute.objects.values_list("completed", flat=True)) == 2
    minutes.rebuild(now, 1)
    assert sum(Minute.objects.values_list("completed", flat=True)) == 2


def test_what_waits_is_sampled_and_the_rollup_forgets_what_is_old(now):
    job("late", Status.ENQUEUED, run_at=now - timedelta(minutes=4))
    Minute.objects.create(minute=now - minutes.MINUTES_KEPT - timedelta(minutes=2))
    Minute.objects.create(minute=now - timedelta(days=1))
    minutes.count_new_minutes(now)
    row = Minute.objects.get(minute=minutes.floor(now))
    assert row.waiting == 1
    assert row.oldest_wait == pytest.approx(240, abs=1)
    assert Minute.objects.filter(minute__lt=now - minutes.MINUTES_KEPT).count() == 0


def test_percentiles_add_up_over_minutes():
    slow, quick = minutes.empty(), minutes.empty()
    quick[within(0.05)], slow[within(10.0)] = 95, 5
    both = minutes.merged([quick, slow])
    assert minutes.percentile(both, 0.5) == pytest.approx(0.025 + 0.025 * 50 / 95)
    assert minutes.percentile(both, 0.99) == pytest.approx(5 + 5 * 0.8)
    assert minutes.percentile(minutes.empty(), 0.5) is None


def test_the_keys_of_a_time_are_found_without_an_index_on_it(now):
    for hours in range(5, 0, -1):
        job(f"h{hours}", Status.COMPLETED, created_at=now - timedelta(hours=hours))
    minutes.count_new_minutes(now)
    low, high = minutes.key_before(now - timedelta(hours=3.5)), minutes.key_after(now - timedelta(hours=2.5))
    keys = JobLog.objects.filter(pk__gt=low, pk__lte=high).values_list("job_id", flat=True)
    assert {"h3"} <= set(keys) <= {"h3", "h2"}
    assert minutes.key_before(now - timedelta(days=1)) is None


@pytest.mark.parametrize("span", list(overview.SPANS))
def test_each_chart_has_all_its_points_and_a_table_of_the_same(now, span):
    client = signed_in(*EVERYTHING)
    done("a", minutes.floor(now) - timedelta(minutes=10))
    minutes.count_new_minutes(now)
    page = client.get(f"/admin/?span={span}")
    length, step = overview.SPANS[span]
    points = overview.load_points(span, now)
    assert len(points) == length / step
    assert page.content.decode().count("<canvas") == 3
    assert all(len(chart["rows"]) == len(points) for chart in page.context["charts"])
    if span == "1h":
        assert [point.done for point in points if point.done] == [1]


def test_nothing_is_said_when_nothing_is_wrong(now):
    client = signed_in(*EVERYTHING)
    a_cluster()
    minutes.count_new_minutes(now)
    assert warnings(client) == []
    assert "Nothing is wrong" in client.get("/admin/").content.decode()


def test_each_thing_that_is_wrong_is_said_with_what_to_do(now):
    client = signed_in(*EVERYTHING)
    a_cluster()
    clusters.Cluster.objects.update(seen_at=Now() - timedelta(minutes=5))
    assert warnings(client) == ["No cluster is alive: no jobs are being processed."]
    a_cluster()
    uncounted = done("uncounted", now)
    JobLog.objects.filter(pk=uncounted.pk).update(processed_at=Now() - minutes.STALE - timedelta(seconds=1))
    leases.LeaderLease.objects.update(acquired_at=Now() - minutes.STALE - timedelta(seconds=2))
    assert warnings(client) == ["The figures below are not up to date."]
    uncounted.delete()
    assert warnings(client) == [], "nothing to count"
    minutes.count_new_minutes(now)
    said = "the mail server cannot be reached: no route to host"
    dead = job("dead", fingerprint="ConnectionRefusedError", error_class="unreachable", error=said)
    tried(dead, 1, error_class="unreachable", ended_at=now)
    job("late", Status.ENQUEUED, run_at=now - timedelta(minutes=4))
    minutes.count_new_minutes(now)
    shown = warnings(client)
    assert shown[0] == "1 of 1 attempts failed in the last 5 minutes (unreachable)."
    assert shown[1].startswith("1 jobs are waiting; the oldest has been due for 4 min")
    assert shown[2] == "1 dead letter. The most frequent error: ConnectionRefusedError."
    page = client.get("/admin/").content.decode()
    assert "EMAIL_HOST" in page
    assert f'<strong>{shown[0]}</strong> <q lang="en">{said}</q>' in page
    failure = Failure("configuration", "SMTP 535", 535, "535 no", "")
    pauses.open_breaker("signin-notification", failure)
    assert "breaker of signin-notification is open" in warnings(client)[0]
    clusters.Cluster.objects.update(seen_at=Now() - timedelta(minutes=5))
    assert "No cluster is alive" in warnings(client)[0]


def test_who_may_not_see_jobs_sees_no_overview():
    page = signed_in("view_cluster").get("/admin/")
    assert page.status_code == 200
    assert "tiles" not in page.context


@pytest.mark.parametrize("span", ["", "7d", "bad", "\x00", "1h'"])
def test_the_overview_costs_the_same_whatever_it_shows(now, span, django_assert_max_num_queries):
    client = signed_in(*EVERYTHING)
    a_cluster()

    def count():
        with django_assert_max_num_queries(31) as captured:
            client.get("/admin/", {"span": span})
        return len(captured.captured_queries)

    count()
    one = min(count(), count())  # one of two pages may read a long chart again, since its CACHE_FOR has passed
    for number in range(20):
        job(f"d{number}", fingerprint=f"Error {number}")
        done(f"c{number}", now - timedelta(minutes=number))
    minutes.count_new_minutes(now)
    assert min(count(), count()) == one


def test_seeded_jobs_are_believable_and_counted():
    call_command("seed", jobs=8000, days=2, yes=True, waiting=True)
    statuses = set(JobLog.objects.values_list("status", flat=True))
    count = JobLog.objects.count()
    assert 7900 < count <= 8000
    assert statuses == set(Status.values)
    assert JobLog.objects.filter(created_at__gt=timezone.now()).count() == 0
    assert sum(Minute.objects.values_list("enqueued", flat=True)) == count
    assert JobLog.objects.filter(status=Status.DLQ, attempts=None).count() == 0
    job("after", Status.COMPLETED)


def test_seeded_jobs_are_settled_so_that_no_worker_emails_an_invented_address():
    call_command("seed", jobs=8000, days=2, yes=True)
    assert set(JobLog.objects.values_list("status", flat=True)) == {Status.COMPLETED, Status.DLQ, Status.DISCARDED}
    assert JobLog.objects.dead().filter(error_class="unreachable").exists()
    reconciler.sweep()
    assert OrmQ.objects.count() == 0, "nor is one replayed when the mail server answers"


def test_a_site_in_production_is_not_seeded_by_mistake(settings):
    settings.DEBUG = False
    with pytest.raises(CommandError, match="--yes"):
        call_command("seed", jobs=10)
