"""/healthz asks nobody; /readyz names the check that fails."""

from datetime import timedelta

import pytest
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now

from jobs import clusters, pauses, queue
from jobs.models import JobLog
from notifier import health
from tests.live_site import LiveSite
from tests.postgres import free_port


@pytest.fixture
def worker(db):
    clusters.beat("host:1", in_flight=0, restarts=0, workers=2, version="test")


def failing(client) -> set[str]:
    """The checks that are not "ok"."""
    answer = client.get("/readyz")
    wrong = {name for name, told in answer.json()["checks"].items() if told != "ok"}
    assert answer.status_code == (503 if wrong else 200)
    assert answer["Cache-Control"] == "no-store"
    return wrong


def test_a_site_with_a_worker_is_ready(client, worker):
    assert failing(client) == set()


def test_a_probe_without_tls_is_answered_and_not_sent_elsewhere(client, worker, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert [client.get(path).status_code for path in ("/healthz", "/readyz", "/accounts/login/")] == [200, 200, 301]


def test_a_worker_that_has_not_beaten_for_30_seconds_is_missed(client, worker):
    clusters.Cluster.objects.update(seen_at=Now() - timedelta(seconds=31))
    assert failing(client) == {"worker"}


def test_a_worker_that_left_is_missed(client, worker):
    clusters.leave("host:1")
    assert failing(client) == {"worker"}


def test_a_due_job_that_nobody_takes_is_told_unless_its_type_is_paused(client, worker):
    queue.enqueue("signin-notification", {}, job_id="a", user_id="1")
    assert failing(client) == set()
    JobLog.objects.update(run_at=Now() - timedelta(minutes=6))
    assert failing(client) == {"queue"}
    pauses.pause("signin-notification", who="bat", why="")
    assert failing(client) == set()


def test_a_missing_migration_is_told(client, worker, monkeypatch):
    monkeypatch.setattr(health, "_migrated", False)
    MigrationRecorder.Migration.objects.filter(app="jobs").order_by("-id").first().delete()
    assert failing(client) == {"migrations"}


@pytest.mark.django_db
def test_without_a_database_the_process_is_healthy_and_not_ready():
    with LiveSite(DATABASE_URL=f"postgres://postgres@127.0.0.1:{free_port()}/none", workers=1) as site:
        assert site.call("GET", "/healthz").status == 200
        answer = site.call("GET", "/readyz")
        assert answer.status == 503
        assert answer.body["checks"] == {"database": "the database cannot be reached"}
