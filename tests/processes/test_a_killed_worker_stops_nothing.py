"""P1, P2, P5 and P6 on real processes: a real qcluster, a real mail server, real signals."""

import os
import signal

import psutil
import pytest

from tests.support.machine import eventually
from tests.support.queues import clusters_of, enqueue, sent, statuses
from tests.support.site import Site
from tests.support.smtp_server import SmtpServer

LEASE = 6


@pytest.fixture
def smtp():
    server = SmtpServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def site(smtp):
    with Site(EMAIL_PORT=str(smtp.port), JOB_LEASE_SECONDS=str(LEASE), EMAIL_TIMEOUT="3") as made:
        yield made


@pytest.fixture
def start(site):
    with clusters_of(site) as start:
        yield start


def test_a_worker_killed_in_the_middle_of_a_send_costs_a_lease_and_keeps_the_message_id(site, smtp, start):
    smtp.behave(at="DATA", delay=2.8, times=1)
    cluster = start()
    enqueue(site, "a")
    eventually(lambda: smtp.mails and cluster.find("busy worker"))
    assert cluster.kill("busy worker") == 1
    eventually(lambda: statuses(site) == {"completed": 1}, seconds=60)
    assert len(sent(smtp)) == 1, "one Message-ID"
    assert len(smtp.mails) <= 2
    assert site.sql("SELECT outcome FROM job_attempts") == [("lost",)]


@pytest.mark.parametrize("part", ["idle worker", "pusher", "monitor", "sentinel", "main", "watchdog"])
def test_work_goes_on_automatically_after_any_part_is_killed(site, smtp, start, part):
    cluster = start()
    enqueue(site, "before")
    eventually(lambda: statuses(site) == {"completed": 1})
    assert cluster.kill(part)
    enqueue(site, "after")
    eventually(lambda: statuses(site) == {"completed": 2}, seconds=30)
    assert set(sent(smtp).values()) == {1}
    assert cluster.end() == 0


def test_an_idle_cluster_works_without_its_pusher_since_a_worker_listens(site, smtp, start):
    cluster = start()
    enqueue(site, "before")
    eventually(lambda: statuses(site) == {"completed": 1})
    cluster.kill("pusher", signal.SIGSTOP)
    enqueue(site, "after")
    eventually(lambda: statuses(site) == {"completed": 2}, seconds=30)
    cluster.kill("pusher", signal.SIGCONT)
    assert set(sent(smtp).values()) == {1}
    assert cluster.end() == 0


def test_a_worker_that_listens_and_hangs_delays_no_job_for_long(site, smtp, start):
    cluster = start()
    enqueue(site, "before")
    eventually(lambda: statuses(site) == {"completed": 1})
    workers = cluster.find("idle worker")
    for number, pid in enumerate(workers):
        os.kill(pid, signal.SIGSTOP)
        enqueue(site, f"job-{number}")
        eventually(lambda: statuses(site) == {"completed": number + 2}, seconds=30)  # noqa: B023
        os.kill(pid, signal.SIGCONT)
    assert len(workers) == 3
    assert set(sent(smtp).values()) == {1}
    assert cluster.end() == 0


def test_a_check_that_is_killed_at_the_start_stops_no_cluster(site, smtp, start):
    cluster = start(ready=False)
    eventually(lambda: cluster.find("main"))
    assert cluster.kill("main") == 1, "so early it is the process of the system checks"
    cluster.ready()
    assert cluster.end() == 0


def test_killing_the_supervisor_leaves_no_orphan_and_another_cluster_goes_on(site, smtp, start):
    cluster = start()
    members = [process.pid for process in cluster.processes()]
    assert len(members) == 9, "with the worker that is reserved for urgent lanes"
    os.kill(cluster.pid, signal.SIGKILL)
    cluster.process.wait(10)
    eventually(lambda: not any(map(psutil.pid_exists, members)), seconds=10)
    enqueue(site, "after")
    start()
    eventually(lambda: statuses(site) == {"completed": 1}, seconds=30)


@pytest.mark.parametrize("whom", ["process", "group"])
@pytest.mark.parametrize("load", [0, 30])
def test_sigterm_ends_in_good_order_and_nothing_is_lost_or_sent_twice(site, smtp, start, whom, load):
    smtp.behave(at="DATA", delay=0.2)
    cluster = start()
    enqueue(site, *(f"job-{number}" for number in range(load)))
    if load:
        eventually(lambda: len(smtp.mails) > 3)
    members = [process.pid for process in cluster.processes()]
    (os.killpg if whom == "group" else os.kill)(cluster.pid, signal.SIGTERM)
    assert cluster.process.wait(20) == 0
    assert not any(map(psutil.pid_exists, members))
    done = statuses(site)
    assert done["processing"] == 0
    waiting = site.sql("SELECT count(*) FROM django_q_ormq WHERE lock <= now()")[0][0]
    assert waiting == done["enqueued"], "what was only fetched is there for others immediately"
    start()
    eventually(lambda: statuses(site)["completed"] == load, seconds=60)
    assert len(smtp.mails) == len(sent(smtp)) == load


def test_a_second_sigterm_kills_and_the_jobs_still_end(site, smtp, start):
    smtp.behave(at="RCPT", hang=True, times=1)
    cluster = start("--grace", "300")
    enqueue(site, "a")
    eventually(lambda: cluster.find("busy worker"))
    cluster.process.terminate()
    eventually(lambda: "cluster stopping" in cluster.log.read_text())  # two signals that are seen together are one
    assert cluster.process.poll() is None
    cluster.process.terminate()
    assert cluster.process.wait(10) == 1
    start()
    eventually(lambda: statuses(site) == {"completed": 1}, seconds=60)


def test_a_worker_that_slept_past_its_lease_settles_nothing(site, smtp, start):
    smtp.behave(at="DATA", delay=2.0, times=1)
    cluster = start("--workers", "2")
    enqueue(site, "a")
    eventually(lambda: cluster.find("busy worker") and smtp.mails)
    asleep = cluster.find("busy worker")
    for pid in asleep:
        os.kill(pid, signal.SIGSTOP)
    eventually(lambda: statuses(site) == {"completed": 1}, seconds=60)
    winner = site.sql("SELECT worker, attempt_count, processed_at FROM job_logs")
    for pid in asleep:
        os.kill(pid, signal.SIGCONT)
    eventually(
        lambda: "stale settlement refused" in cluster.log.read_text() or not cluster.find("busy worker"), seconds=30
    )
    assert site.sql("SELECT worker, attempt_count, processed_at FROM job_logs") == winner
    assert winner[0][1] == 2
    assert len(sent(smtp)) == 1
