"""The database is dumped, dropped and restored by deploy/postgresql/database.sh while clients post and clusters send:
every accepted job ends, and no mail goes twice but for those in flight."""

import json
import os
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from datetime import UTC, datetime

import psycopg
import pytest

from tests.support import machine
from tests.support.machine import eventually
from tests.support.queues import clusters_of, sent, statuses
from tests.support.site import ROOT, Site
from tests.support.smtp_server import SmtpServer

NAME, WORKERS, CLUSTERS, LEASE = "in_the_middle", 2, 2, 10


@pytest.fixture
def smtp():
    server = SmtpServer()
    server.start()
    server.behave(at="DATA", delay=0.05)  # so that workers are busy when the database goes
    yield server
    server.stop()


@pytest.fixture
def site(own_postgres, smtp):
    own_postgres.execute(f"CREATE ROLE {NAME} LOGIN")
    own_postgres.execute(f"CREATE DATABASE {NAME} OWNER {NAME}")
    own_postgres.execute(f"ALTER ROLE {NAME} SET synchronous_commit = on")
    url = own_postgres.url(NAME).replace("postgres@", f"{NAME}@")
    settings = {"EMAIL_TIMEOUT": "5", "JOB_LEASE_SECONDS": str(LEASE), "Q_WORKERS": str(WORKERS)}
    with Site(EMAIL_PORT=str(smtp.port), DATABASE_URL=url, **settings) as made:
        made.manage("migrate", "-v0")
        yield made


def script(server, *arguments):
    """database.sh as an administrator of the server calls it; the seconds it took."""
    if not (shutil.which("pg_dump") or (server.bin / "pg_dump").exists()):
        machine.missing("pg_dump", "postgresql-client")
    place = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "postgres", "DATABASE": NAME, "ROLE": NAME}
    path = f"{server.bin}:{os.environ['PATH']}"
    began = time.monotonic()
    done = subprocess.run(
        [ROOT / "deploy/postgresql/database.sh", *map(str, arguments)],
        env={**os.environ, **place, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return time.monotonic() - began


def jobs_by_status(server):
    """Jobs in each status, as a superuser sees them while the role is shut out."""
    with psycopg.connect(server.url(NAME)) as connection:
        return Counter(row[0] for row in connection.execute("SELECT status FROM job_logs"))


class Clients:
    """Sites that post notices, one after another, and try again with the same job id as the API's document says."""

    def __init__(self, site, threads=3):
        key = site.manage("create_api_key", "shop", "--scope", "enqueue").split()[-1]
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.url = f"{site.url}/api/jobs/signin-notification"
        self.accepted, self.answers, self.stop = [], Counter(), threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def work(self, number):
        turn = 0
        while not self.stop.is_set():
            job_id = f"shop-{number}-{turn}"
            while self.post(job_id) not in (202, 409):
                time.sleep(0.2)
            self.accepted.append(job_id)
            turn += 1

    def post(self, job_id):
        notice = {
            "userId": job_id,
            "email": f"{job_id}@example.mn",
            "name": "Бат",
            "provider": "password",
            "ipAddress": "192.0.2.1",
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
            "timestamp": datetime.now(UTC).isoformat(),
            "jobId": job_id,
        }
        request = urllib.request.Request(self.url, json.dumps(notice).encode(), self.headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status = answer.status
        except urllib.error.HTTPError as refused:
            with refused:
                status = refused.code
        except OSError:
            status = 0
        self.answers[status] += 1
        return status


def test_every_job_ends_and_none_is_sent_twice_but_those_in_flight(site, smtp, own_postgres, tmp_path):
    dump = tmp_path / "notifier.dump"
    site.start("web")
    with clusters_of(site) as start:
        clusters = [start() for _ in range(CLUSTERS)]
        with Clients(site) as clients:
            eventually(lambda: len(smtp.mails) > 60)
            took = {"close": script(own_postgres, "close")}
            waiting = jobs_by_status(own_postgres)
            for step, file in (("dump", dump), ("restore", dump), ("open", None)):
                took[step] = script(own_postgres, step, *([file] if file else []))
            before = len(clients.accepted)
            eventually(lambda: len(clients.accepted) > before + 20, seconds=60)
        eventually(lambda: set(statuses(site)) == {"completed"}, seconds=120)
        assert [cluster.end() for cluster in clusters] == [0] * CLUSTERS
    assert dump.stat().st_mode & 0o077 == 0  # no other user reads the addresses in it
    counts = sent(smtp)
    twice = sum(counts.values()) - len(counts)
    print(  # noqa: T201  (the figures of deploy/README.md: pytest -s)
        f"\n{len(clients.accepted)} jobs, at the dump {dict(waiting)}, mails sent twice {twice}, "
        f"answers {dict(clients.answers)}, seconds { ({step: round(seconds, 2) for step, seconds in took.items()}) }"
    )
    assert {row[0].rpartition(":")[2] for row in site.sql("SELECT job_id FROM job_logs")} >= set(clients.accepted)
    assert {mail.rcpt[0] for mail in smtp.mails} >= {f"{job_id}@example.mn" for job_id in clients.accepted}
    assert twice <= WORKERS * CLUSTERS
    assert set(clients.answers) <= {202, 409, 503}
