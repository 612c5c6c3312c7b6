"""Real workers of which every one is busy with slow work: what is urgent is sent meanwhile."""

import pytest

from tests.support.machine import eventually
from tests.support.queues import clusters_of, enqueue, statuses
from tests.support.site import Site
from tests.support.smtp_server import SmtpServer

SLOW_SECONDS = 45.0


@pytest.fixture
def smtp():
    server = SmtpServer()
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("broker", ["orm", "redis"])
@pytest.mark.parametrize("workers", [1, 2])
def test_jobs_that_take_half_a_minute_occupy_all_workers_and_a_reset_is_sent(smtp, workers, broker, redis_url):
    settings = {"Q_BROKER": broker, "REDIS_URL": redis_url, "EMAIL_TIMEOUT": "60"}
    with (
        Site(EMAIL_PORT=str(smtp.port), JOB_LEASE_SECONDS="180", **settings) as site,
        clusters_of(site) as start,
    ):
        cluster = start("--workers", str(workers), ready=False)
        cluster.ready(workers)
        smtp.behave(at="DATA", delay=SLOW_SECONDS, times=workers)
        enqueue(site, *(f"slow-{number}" for number in range(workers)))
        eventually(lambda: len(cluster.find("busy worker")) == workers and len(smtp.mails) == workers)
        enqueue(site, "routine")
        enqueue(site, "reset", lane="urgent")
        eventually(lambda: statuses(site)["completed"] == 1, seconds=30)
        assert site.sql("SELECT job_id FROM job_logs WHERE status = 'completed'") == [("reset",)]
        assert statuses(site)["processing"] == workers
