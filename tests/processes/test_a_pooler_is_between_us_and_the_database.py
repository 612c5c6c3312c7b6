"""A real PgBouncer before the site, in transaction and session mode: nothing leaks, and NOTIFY reaches the workers."""

import json
from contextlib import closing, contextmanager

import psycopg
import pytest

from tests.support import pgbouncer
from tests.support.machine import eventually
from tests.support.queues import clusters_of, enqueue, statuses
from tests.support.site import Site
from tests.support.smtp_server import SmtpServer

pytestmark = [pytest.mark.slow, pytest.mark.world]
POLLS = "NOTIFY does not arrive"
CHANGED = """SELECT name || '=' || setting FROM pg_settings
WHERE source = 'session' AND name NOT IN ('client_encoding', 'TimeZone')"""


@pytest.fixture
def smtp():
    server = SmtpServer()
    server.start()
    yield server
    server.stop()


@contextmanager
def pooled_site(smtp, mode, query="", **settings):
    """A site whose web and worker know the database only through PgBouncer's pool of that mode."""
    with Site(EMAIL_PORT=str(smtp.port)) as site:
        direct = site.environment["DATABASE_URL"]
        with pgbouncer.running(direct, **settings) as pools:
            site.environment["DATABASE_URL"] = pools[mode] + query
            yield site, pools[mode]
            for name in [*site.processes]:
                site.stop(name)
        site.environment["DATABASE_URL"] = direct


def use(pool, clients=12):
    """Clients that have used the pool, each with a LISTEN, as the worker of yesterday: server connections stay."""
    for _ in range(clients):
        with closing(psycopg.connect(pool, autocommit=True)) as client:
            client.execute("LISTEN jobs")


def left_behind(pool):
    """The settings that another client of the pool finds changed."""
    found = set()
    clients = [psycopg.connect(pool) for _ in range(8)]
    for client in clients:  # each in a transaction of its own, so on a server connection of its own
        found |= {row[0] for row in client.execute(CHANGED).fetchall()}
    for client in clients:
        client.close()
    return found


@pytest.mark.parametrize(("mode", "query"), [("transaction", ""), ("transaction", "?pgbouncer=true"), ("session", "")])
def test_the_whole_site_works_through_it_and_leaves_no_setting_behind(smtp, mode, query):
    with pooled_site(smtp, mode, query) as (site, pool), clusters_of(site) as start:
        site.start("web")
        cluster = start()
        enqueue(site, *(f"job-{number}" for number in range(30)))
        eventually(lambda: statuses(site) == {"completed": 30})
        assert site.get("/accounts/login/")[0] == 200
        eventually(lambda: site.get("/readyz")[0] == 200)
        assert left_behind(pool) == set()
        assert cluster.end() == 0
    assert len(smtp.mails) == 30


@pytest.mark.timeout(300)
def test_ten_workers_in_a_row_on_a_used_pool_poll_and_are_never_deaf(smtp):
    with pooled_site(smtp, "transaction") as (site, pool), clusters_of(site) as start:
        use(pool)
        for number in range(10):
            cluster = start()
            eventually(lambda: site.log("worker").count(POLLS) >= 2 * (number + 1))  # noqa: B023  the pusher and bulk replays
            enqueue(site, f"job-{number}")
            eventually(lambda: statuses(site) == {"completed": number + 1})  # noqa: B023
            assert cluster.end() == 0
        waited = site.sql("SELECT extract(epoch FROM max(processing_at - run_at))::float FROM job_logs")[0][0]
        assert waited < 4, "found by the poll, not by the heartbeat's second line of defence after five seconds"


def test_in_session_mode_a_worker_is_started_by_notify(smtp):
    with pooled_site(smtp, "session") as (site, _pool), clusters_of(site) as start:
        start()
        enqueue(site, "job")
        eventually(lambda: statuses(site) == {"completed": 1})
        assert POLLS not in site.log("worker")


@pytest.mark.parametrize(
    ("mode", "query", "verdict", "said"),
    [
        ("transaction", "", "warning", "NOTIFY does not arrive"),
        ("transaction", "?pgbouncer=true", "ok", "every 0.2 s"),
        ("session", "", "ok", "arrives"),
    ],
)
def test_the_doctor_says_how_workers_learn_of_jobs(smtp, mode, query, verdict, said):
    with pooled_site(smtp, mode, query) as (site, pool):
        use(pool)
        for _ in range(3):
            printed = site.manage("doctor", "--json", check=False)
            found = {each["check"]: each for each in json.loads(printed)}
            assert found["notify"]["verdict"] == verdict
            assert said in found["notify"]["message"]
