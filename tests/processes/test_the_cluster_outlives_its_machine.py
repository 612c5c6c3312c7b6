"""A silent database, refused forks, a cold kill, SIGHUP, PID 1, a wrong clock: the cluster goes on or starts again."""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from jobs.cluster.clusters import OTHER_CONNECTIONS
from jobs.cluster.watchdog import STUCK_AFTER
from tests.support import faults
from tests.support.machine import eventually, missing, wrong_clock
from tests.support.queues import clusters_of, enqueue, sent, statuses
from tests.support.site import MANAGE, Site
from tests.support.smtp_server import SmtpServer

pytestmark = pytest.mark.world

GRACE = 10.0


@pytest.fixture
def smtp():
    server = SmtpServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def site(smtp):
    """A site with the shipped leases."""
    with Site(EMAIL_PORT=str(smtp.port), EMAIL_TIMEOUT="3") as made:
        yield made


@pytest.fixture
def start(site):
    with clusters_of(site) as start:
        yield start


def pids(cluster) -> set[int]:
    return {process.pid for process in cluster.processes()}


# --- E3 -------------------------------------------------------------------------------------------------
@pytest.mark.timeout(180)
def test_a_database_that_is_silent_for_20_seconds_kills_no_cluster(own_postgres, smtp):
    smtp.behave(at="DATA", delay=0.1)
    own_postgres.execute("CREATE DATABASE silent")
    with Site(EMAIL_PORT=str(smtp.port), DATABASE_URL=own_postgres.url("silent")) as site, clusters_of(site) as start:
        site.manage("migrate")
        cluster = start()
        enqueue(site, *(f"before-{number}" for number in range(100)))
        eventually(lambda: len(smtp.mails) > 5)
        members = pids(cluster)
        with faults.stopped(own_postgres.process):
            time.sleep(20)
        eventually(lambda: statuses(site) == {"completed": 100}, seconds=60)
        assert pids(cluster) == members
        assert "stuck" not in cluster.log.read_text()
        assert set(sent(smtp).values()) == {1}
        assert cluster.end() == 0


def test_an_idle_cluster_that_polls_a_silent_database_is_not_stuck(own_postgres, smtp):
    own_postgres.execute("CREATE DATABASE silent")
    url = f"{own_postgres.url('silent')}?pgbouncer=true"  # so it polls, and is in the middle of a query
    with Site(EMAIL_PORT=str(smtp.port), DATABASE_URL=url) as site, clusters_of(site) as start:
        site.manage("migrate")
        cluster = start()
        members = pids(cluster)
        with faults.stopped(own_postgres.process):
            time.sleep(3 * STUCK_AFTER)
        enqueue(site, "after")
        eventually(lambda: statuses(site) == {"completed": 1}, seconds=60)
        assert pids(cluster) == members
        assert "stuck" not in cluster.log.read_text()
        assert cluster.end() == 0


# --- E4 -------------------------------------------------------------------------------------------------
@pytest.fixture
def refused_forks(site):
    """A file; while it exists, the kernel refuses the forks of the cluster that `start` is given."""
    return site.folder / "no-forks"


def with_forks_refused(flag: Path) -> list[str]:
    return [sys.executable, "-m", "tests.support.refused_forks", str(flag)]


def test_a_refused_fork_is_tried_again_until_it_succeeds(site, smtp, start, refused_forks):
    refused_forks.touch()
    cluster = start("--grace", str(GRACE), ready=False, manage=with_forks_refused(refused_forks))
    eventually(lambda: "cluster cannot be started" in cluster.log.read_text())
    refused_forks.unlink()
    cluster.ready()
    refused_forks.touch()
    refused_so_far = cluster.log.read_text().count("cannot be started")
    for part in ("watchdog", "busy worker", "idle worker"):
        cluster.kill(part)
    eventually(lambda: cluster.log.read_text().count("cannot be started") > refused_so_far)
    assert cluster.process.poll() is None
    refused_forks.unlink()
    enqueue(site, "after")
    eventually(lambda: statuses(site) == {"completed": 1}, seconds=60)
    eventually(lambda: cluster.find("watchdog"))
    assert cluster.end(GRACE + 10) == 0


def test_sigterm_ends_a_cluster_whose_forks_are_refused(start, refused_forks):
    cluster = start("--grace", str(GRACE), manage=with_forks_refused(refused_forks))
    refused_forks.touch()
    cluster.kill("watchdog")
    eventually(lambda: "watchdog cannot be started" in cluster.log.read_text())
    members = pids(cluster)
    assert cluster.end(GRACE + 10) == 0
    assert not any(map(psutil.pid_exists, members))


# --- C19 ------------------------------------------------------------------------------------------------
def test_a_cold_start_takes_over_the_jobs_of_the_dead(site, smtp, start):
    smtp.behave(at="DATA", delay=0.5)
    cluster = start()
    enqueue(site, *(f"job-{number}" for number in range(60)))
    eventually(lambda: len(smtp.mails) > 5)
    cluster.kill_everything()
    in_flight = site.sql("SELECT count(*) FROM job_logs WHERE status = 'processing'")[0][0]
    assert in_flight
    smtp.behave()
    start()
    eventually(lambda: statuses(site) == {"completed": 60}, seconds=30)
    mails = sent(smtp)
    assert len(mails) == 60, "one Message-ID each"
    assert sum(mails.values()) - 60 <= in_flight


def test_a_killed_workers_jobs_do_not_wait_for_their_leases(site, smtp, start):
    smtp.behave(at="DATA", delay=2.0, times=1)
    cluster = start()
    enqueue(site, "a")
    eventually(lambda: cluster.find("busy worker") and smtp.mails)
    assert cluster.kill("busy worker") == 1
    eventually(lambda: statuses(site) == {"completed": 1}, seconds=30)


# --- E7, C7 ---------------------------------------------------------------------------------------------
def test_sighup_starts_the_cluster_again_under_the_same_pid(site, smtp, start):
    cluster = start()
    before = pids(cluster)
    cluster.process.send_signal(signal.SIGHUP)
    eventually(lambda: cluster.log.read_text().count("cluster started") == 2)
    cluster.ready()
    assert pids(cluster) & before == {cluster.pid}
    enqueue(site, "after")
    eventually(lambda: statuses(site) == {"completed": 1})
    assert cluster.end() == 0


def whole_clusters(supervisor: psutil.Process) -> list[psutil.Process]:
    """The main process of each cluster that has all of its processes."""
    found = []
    for child in supervisor.children():
        with suppress(psutil.NoSuchProcess):  # one that has just ended
            if len(child.children(recursive=True)) == 6:
                found.append(child)
    return found


def test_as_pid_1_it_leaves_no_zombies(site, start):
    if os.geteuid() != 0:
        missing("root", "sudo")
    unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    outer = start(ready=False, manage=[*unshare, *MANAGE])
    (first,) = eventually(lambda: psutil.Process(outer.pid).children())
    for _ in range(2):
        (main,) = eventually(lambda: whole_clusters(first), seconds=40)
        main.kill()
        psutil.wait_procs([main], timeout=20)
    eventually(lambda: whole_clusters(first), seconds=40)
    eventually(lambda: not any(child.status() == psutil.STATUS_ZOMBIE for child in first.children()))
    first.terminate()
    assert outer.process.wait(60) == 0


# --- E8 -------------------------------------------------------------------------------------------------
def test_a_cluster_keeps_as_many_connections_as_the_documents_say(site, smtp, start):
    start()
    enqueue(site, *(f"job-{number}" for number in range(50)))
    eventually(lambda: statuses(site) == {"completed": 50})
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    eventually(lambda: site.sql(count)[0][0] <= 2 + OTHER_CONNECTIONS)


# --- C6 -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("offset", ["+90s", "-90s"])
def test_a_wrong_clock_of_the_workers_machine_changes_nothing(site, smtp, start, offset):
    smtp.behave(at="RCPT", answer="450 4.2.1 busy", times=2)
    site.environment |= wrong_clock(offset)
    start(manage=[sys.executable, "-m", "tests.support.wrong_clock"])
    del site.environment["LD_PRELOAD"]
    enqueue(site, "a")
    count = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    eventually(lambda: statuses(site) == {"failed": 1})
    before = site.sql(count)[0][0]
    time.sleep(8)  # without asking the database: what it counts is the cluster's
    assert site.sql(count)[0][0] - before < 200, "it does not poll"
    eventually(lambda: statuses(site) == {"completed": 1}, seconds=30)
    late = "SELECT max(processing_at - run_at) FROM job_logs"
    assert site.sql(late)[0][0].total_seconds() < 5
