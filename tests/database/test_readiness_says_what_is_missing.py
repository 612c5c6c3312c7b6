"""/healthz asks no other server; /readyz names the check that fails."""

from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from django.utils import timezone

from jobs.cluster import clusters
from jobs.core import pauses, sql
from jobs.core.job import JobLog
from jobs.queue.enqueue import enqueue
from notifier.ops import health
from tests.support.live_site import LiveSite
from tests.support.ports import free_port
from tests.support.templates import collected_static


@pytest.fixture
def worker(db, settings):
    settings.STATIC_ROOT = collected_static()
    clusters.record_heartbeat("host:1", in_flight=0, restarts=0, workers=2, version="test")


def failing(client) -> set[str]:
    """The checks that are not "ok"."""
    answer = client.get("/readyz")
    wrong = {name for name, state in answer.json()["checks"].items() if state != "ok"}
    assert answer.status_code == (503 if wrong else 200)
    assert answer["Cache-Control"] == "no-store"
    return wrong


def test_a_site_with_a_worker_is_ready(client, worker):
    assert failing(client) == set()


def test_static_files_that_a_volume_hides_are_missed(client, worker, settings, tmp_path):
    settings.STATIC_ROOT = tmp_path
    assert failing(client) == {"static"}
    assert "collectstatic" in client.get("/readyz").json()["checks"]["static"]
    warned = [found for found in run_checks(include_deployment_checks=True) if found.id == "notifier.W003"]
    assert len(warned) == 1
    assert str(tmp_path) in warned[0].msg
    settings.DEBUG = True  # then they are served from where they are
    assert failing(client) == set()


def test_a_probe_without_tls_is_answered_and_not_sent_elsewhere(client, worker, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert [client.get(path).status_code for path in ("/healthz", "/readyz", "/accounts/login/")] == [200, 200, 301]


def test_a_worker_that_has_not_beaten_for_30_seconds_is_missed(client, worker):
    clusters.Cluster.objects.update(seen_at=Now() - timedelta(seconds=31))
    assert failing(client) == {"worker"}


def test_a_worker_that_left_is_missed(client, worker):
    clusters.mark_stopped("host:1")
    assert failing(client) == {"worker"}


@pytest.mark.postgresql
def test_a_read_only_database_and_a_standby_are_reported(client, worker, monkeypatch):
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
    assert failing(client) == {"database"}
    assert client.get("/readyz").json()["checks"]["database"] == "the database is read-only"
    standby = sql.ServerState(in_recovery=True, read_only=True, encoding="UTF8")
    monkeypatch.setattr(sql, "server_state", lambda: standby)
    assert "is a standby" in client.get("/readyz").json()["checks"]["database"]


def test_a_due_job_that_no_worker_takes_is_reported_unless_its_type_is_paused(client, worker):
    enqueue("signin-notification", {}, job_id="a", user_id="1")
    assert failing(client) == set()
    JobLog.objects.update(run_at=Now() - timedelta(minutes=6))
    assert failing(client) == {"queue"}
    pauses.pause("signin-notification", who="bat", why="")
    assert failing(client) == set()


def test_a_missing_migration_is_reported(client, worker, monkeypatch):
    monkeypatch.setattr(health, "_migrated", False)
    MigrationRecorder.Migration.objects.filter(app="jobs").order_by("-id").first().delete()
    assert failing(client) == {"migrations"}


def test_a_clock_far_from_the_databases_is_reported(client, worker, monkeypatch):
    slow = timezone.now() - timedelta(hours=1)
    monkeypatch.setattr(health.timezone, "now", lambda: slow)
    assert failing(client) == {"clock"}


def test_probes_and_scrapes_are_answered_for_any_host(client, worker, settings):
    settings.ALLOWED_HOSTS = ["example.mn"]
    for host in ("10.1.2.3:8000", "", "localhost", "a_b!"):
        answers = [client.get(path, HTTP_HOST=host) for path in ("/healthz", "/readyz", "/metrics")]
        assert [answer.status_code for answer in answers] == [200, 200, 200], host
    assert client.get("/accounts/login/", HTTP_HOST="10.1.2.3:8000").status_code == 400


@pytest.mark.processes
@pytest.mark.django_db
def test_without_a_database_the_process_is_healthy_and_not_ready():
    with LiveSite(DATABASE_URL=f"postgres://postgres@127.0.0.1:{free_port()}/none", workers=1) as site:
        assert site.call("GET", "/healthz").status == 200
        answer = site.call("GET", "/readyz")
        assert answer.status == 503
        assert answer.body["checks"] == {"database": "the database cannot be reached"}
