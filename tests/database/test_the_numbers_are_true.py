"""/metrics: what it says equals what the database and the mail server have, for all processes and clusters together."""

import re
import shutil
import subprocess
import urllib.error
import urllib.request
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from jobs.core import counters, errors, pauses
from jobs.core.job import JobLog, Status
from jobs.queue import actions
from jobs.queue.enqueue import RateLimited
from jobs.worker import entry
from notifier.ops import collector
from tests.support import sample_types
from tests.support.clusters import Qcluster
from tests.support.machine import eventually
from tests.support.site import Site

HOUR = timedelta(hours=1)
SAMPLE = re.compile(r"^(notifier_\w+?)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def read(text: str) -> dict[str, float]:
    """Samples by name and labels, as they are written."""
    return {f"{name}{{{labels}}}" if labels else name: float(value) for name, labels, value in SAMPLE.findall(text)}


def numbers(client) -> dict[str, float]:
    return read(client.get("/metrics").content.decode())


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_the_counters_are_what_the_database_and_the_mail_server_have_with_many_processes():
    with Site(WEB_WORKERS="3") as site:
        site.start("mail", "web", "worker")
        second = Qcluster(site.environment, site.folder / "second.log")
        key = site.manage("create_api_key", "shop", "--scope", "enqueue").strip()
        made = 0
        for user in range(12):
            for number in range(12):  # two of each user's are over the hourly limit
                made += enqueue(site, key, f"u{user}", number) == 202
        assert made == 120
        eventually(lambda: site.sql("SELECT count(*) FROM job_logs WHERE status = 'completed'") == [(120,)])
        eventually(
            lambda: read(site.get("/metrics")[1])['notifier_rate_limited_total{job_type="signin-notification"}'] == 24
        )
        exposed = read(site.get("/metrics")[1])
        assert second.end() == 0
        mails = len(site.mails())
    kind = 'job_type="signin-notification"'
    assert exposed["notifier_jobs_enqueued_total"] == exposed["notifier_claims_total"] == mails == 120
    assert exposed[f"notifier_jobs_completed_total{{{kind}}}"] == 120
    assert exposed[f'notifier_attempts_total{{error_class="",{kind},outcome="completed"}}'] == 120
    assert [exposed[name] for name in exposed if name.startswith('notifier_mails_total{outcome="accepted"')] == [120]
    assert exposed['notifier_jobs{status="completed"}'] == 120
    assert exposed[f'notifier_pickup_seconds_count{{{kind},lane="default"}}'] == 120
    for histogram in ("run", "end_to_end"):
        assert exposed[f"notifier_{histogram}_seconds_count{{{kind}}}"] == 120
    assert exposed["notifier_clusters"] == 2


def enqueue(site: Site, key: str, user: str, number: int) -> int:
    body = (
        f'{{"userId": "{user}", "email": "{user}@example.mn", "name": "Bat", "provider": "github", "userAgent": "x",'
        f'"ipAddress": "203.0.113.{number}", "timestamp": "{timezone.now().isoformat()}"}}'
    )
    asked = urllib.request.Request(
        f"{site.url}/api/jobs/signin-notification",
        body.encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def raising(error: Exception):
    def behave(job: JobLog) -> None:
        raise error

    return behave


@pytest.mark.django_db
@pytest.mark.engine
def test_every_move_of_a_job_is_counted_once(client, settings):
    settings.JOB_MAX_ATTEMPTS = 1
    with sample_types.registered(per_hour=3) as recorder:
        good, bad, waiting = (sample_types.enqueue(name) for name in ("good", "bad", "waiting"))
        with pytest.raises(RateLimited):
            sample_types.enqueue("fourth")
        entry.run(good.pk, 1)
        recorder.behave = raising(errors.Permanent("no"))
        entry.run(bad.pk, 1)
        bad.refresh_from_db()
        assert actions.replay(bad, who="boss")
        assert actions.discard(waiting, who="boss")
        taken = JobLog.objects.claim(bad.pk, 2, "w")
    counters.write_noted()
    exposed, kind = numbers(client), 'job_type="test-job"'
    assert taken
    assert exposed == exposed | {
        "notifier_jobs_enqueued_total": 3,
        "notifier_claims_total": 3,
        f"notifier_jobs_completed_total{{{kind}}}": 1,
        f'notifier_dead_letters_total{{{kind},reason="permanent"}}': 1,
        f'notifier_attempts_total{{error_class="permanent",{kind},outcome="dlq"}}': 1,
        f"notifier_jobs_replayed_total{{{kind}}}": 1,
        f"notifier_jobs_discarded_total{{{kind}}}": 1,
        f"notifier_rate_limited_total{{{kind}}}": 1,
        'notifier_jobs{status="processing"}': 1,
        'notifier_jobs{status="completed"}': 1,
        'notifier_jobs{status="discarded"}': 1,
        'notifier_jobs{status="dlq"}': 0,
        'notifier_jobs{status="enqueued"}': 0,
    }


@pytest.mark.django_db
def test_lost_attempts_and_stale_settlements_are_counted(client, settings):
    with sample_types.registered() as recorder:
        job = sample_types.enqueue("a")

        def lose(held: JobLog) -> None:
            JobLog.objects.filter(pk=held.pk).update(lease_until=Now() - HOUR)
            assert JobLog.objects.claim(held.pk, 2, "other")

        recorder.behave = lose
        entry.run(job.pk, 1)
    exposed, kind = numbers(client), 'job_type="test-job"'
    assert exposed[f'notifier_attempts_total{{error_class="",{kind},outcome="lost"}}'] == 1
    assert exposed[f"notifier_stale_settlements_total{{{kind}}}"] == 1
    assert exposed["notifier_claims_total"] == 2


@pytest.mark.django_db
def test_what_waits_and_what_is_held_is_shown(client):
    with sample_types.registered():
        job = sample_types.enqueue("a")
        JobLog.objects.filter(pk=job.pk).update(run_at=Now() - HOUR)
        assert numbers(client)['notifier_oldest_due_seconds{lane="default"}'] >= 3600
        pauses.pause(sample_types.NAME, who="bat", why="")
        pauses.open_breaker(sample_types.NAME, errors.describe(errors.Configuration("no")))
    exposed = numbers(client)
    assert exposed['notifier_oldest_due_seconds{lane="default"}'] == 0
    assert exposed['notifier_paused{job_type="test-job"}'] == exposed['notifier_breaker_open{job_type="test-job"}'] == 1


@pytest.mark.django_db
def test_a_scrape_costs_the_same_for_one_job_and_for_many(client, django_assert_max_num_queries):
    with sample_types.registered():
        for number in range(30):
            sample_types.enqueue(f"j{number}", user_id=str(number))
    with django_assert_max_num_queries(20):
        assert numbers(client)['notifier_jobs{status="enqueued"}'] == 30


@pytest.mark.django_db
def test_a_counter_keeps_its_sum_when_its_transaction_rolls_back():
    counters.add(counters.sums([(counters.Count("stale", ("t",)), 0.0)]))
    with transaction.atomic():
        counters.add(counters.sums([(counters.Count("stale", ("t",)), 0.0)]))
        transaction.set_rollback(True)
    assert counters.read()[counters.Count("stale", ("t",))] == (1, 0.0)


TOKEN = "t" * 32
STRANGER = "203.0.113.9"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("token", "address", "headers", "status"),
    [
        ("", "127.0.0.1", {}, 200),
        ("", "::1", {}, 200),
        ("", STRANGER, {}, 403),
        ("", STRANGER, {"Authorization": "Bearer "}, 403),
        ("", "127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 403),
        ("", "127.0.0.1", {"X-Real-IP": STRANGER}, 403),
        ("", "", {}, 403),
        (TOKEN, STRANGER, {}, 401),
        (TOKEN, STRANGER, {"Authorization": f"Bearer {TOKEN[1:]}"}, 401),
        (TOKEN, STRANGER, {"Authorization": f"Basic {TOKEN}"}, 401),
        (TOKEN, STRANGER, {"Authorization": "Bearer не-то"}, 401),
        (TOKEN, STRANGER, {"Authorization": f"Bearer {TOKEN}"}, 200),
        (TOKEN, "127.0.0.1", {}, 200),
    ],
)
def test_only_this_machine_and_the_token_see_the_numbers(client, settings, token, address, headers, status):
    settings.METRICS_TOKEN = token
    answer = client.get("/metrics", headers=headers, REMOTE_ADDR=address)
    assert answer.status_code == status
    assert ("notifier_jobs" in answer.content.decode()) == (status == 200)
    assert "Set-Cookie" not in answer.headers


@pytest.mark.django_db
def test_promtool_finds_no_fault_in_a_scrape(client):
    with sample_types.registered() as recorder:
        entry.run(sample_types.enqueue("a").pk, 1)
    counters.note(*counters.timed("sign_in", 0.003))
    counters.write_noted()
    text = client.get("/metrics").content
    assert recorder.called
    assert len(collector.HISTOGRAMS) == text.count(b" histogram\n")
    if promtool := shutil.which("promtool"):
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr
    assert Status.DLQ in text.decode()
