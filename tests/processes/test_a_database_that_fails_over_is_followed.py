"""B5 and P1: the site and its worker follow a primary that becomes read-only, and a standby that is promoted."""

import threading
from collections import Counter

import pytest

from tests.support import faults
from tests.support.machine import eventually
from tests.support.outside import Caller
from tests.support.postgres import Postgres
from tests.support.queues import clusters_of, enqueue, sent, statuses
from tests.support.site import Site
from tests.support.smtp_server import SmtpServer

pytestmark = [pytest.mark.timeout(300), pytest.mark.world]
USER = """
from django.contrib.auth import get_user_model
get_user_model().objects.create_user("bat", "bat@example.mn", "correct horse battery")
"""
WORKERS = 2
LEASE = {"JOB_LEASE_SECONDS": "20", "EMAIL_TIMEOUT": "5"}


@pytest.fixture
def smtp():
    server = SmtpServer()
    server.start()
    yield server
    server.stop()


def test_a_read_only_database_refuses_requests_and_repeats_no_email(smtp, own_postgres: Postgres):
    own_postgres.execute("CREATE DATABASE site")
    with Site(DATABASE_URL=own_postgres.url("site"), EMAIL_PORT=str(smtp.port), **LEASE) as site:
        site.manage("migrate")
        with clusters_of(site) as start:
            start()
            site.start("web")
            site.manage("shell", "-v0", "-c", USER)
            caller = Caller(site)
            assert caller.sign_in("bat", "correct horse battery").status == 302
            smtp.behave(at="DATA", delay=1.5)
            enqueue(site, *(f"job-{number}" for number in range(10)))
            eventually(lambda: smtp.mails)
            with faults.read_only(own_postgres):
                eventually(lambda: caller.post_notice("refused").status == 503)
                page = caller.sign_in("bat", "correct horse battery")
                assert (page.status, "The site is temporarily unavailable" in page.text) == (503, True)
                ready = caller.get("/readyz")
                assert (ready.status, "read-only" in ready.text) == (503, True)
                assert "read-only" in site.manage("doctor", check=False)
                eventually(lambda: "settling again" in site.log("worker"))
                assert statuses(site)["processing"], "what was sent waits for a database that takes its settlement"
            eventually(lambda: statuses(site) == {"completed": 11}, seconds=60)  # that of the sign-in too
            assert caller.post_notice("after").status == 202
            eventually(lambda: statuses(site) == {"completed": 12})
    assert set(sent(smtp).values()) == {1}


@pytest.mark.parametrize("old_primary", ["killed", "read-only"])
def test_a_standby_promoted_under_load_is_followed_and_no_job_is_lost(smtp, old_primary):
    with Postgres(synchronous_commit="on") as primary, faults.Switch(primary.port) as address:
        primary.execute("CREATE DATABASE site")
        url = f"postgres://postgres@127.0.0.1:{address.port}/site"
        with Site(DATABASE_URL=url, EMAIL_PORT=str(smtp.port), **LEASE) as site:
            site.manage("migrate")
            with faults.standby_of(primary) as standby, clusters_of(site) as start:
                wait_for_each_commit(primary)
                start()
                site.start("web")
                with Load(Caller(site)) as load:
                    eventually(lambda: len(load.accepted) >= 20)
                    if old_primary == "killed":
                        primary.kill()
                    else:
                        primary.execute("ALTER SYSTEM SET default_transaction_read_only = on")
                        primary.execute("SELECT pg_reload_conf()")
                    standby.promote()
                    address.point_to(standby.port, cut=False)
                    before = len(load.accepted)
                    eventually(lambda: len(load.accepted) >= before + 20, seconds=60)
                accepted = set(load.accepted)
                assert load.statuses <= {202, 409, 503}
                eventually(lambda: statuses(site).keys() == {"completed"}, seconds=90)
                rows = {str(row[0]).removeprefix("shop:") for row in site.sql("SELECT job_id FROM job_logs")}
                assert accepted <= rows
                assert caller_is_ready(site)
    counts = Counter(sent(smtp).values())
    cut_off = 0 if old_primary == "killed" else WORKERS  # their commits wait for a standby that has left: P2
    assert set(counts) <= {1, 2}
    assert counts[2] <= cut_off


def wait_for_each_commit(primary: Postgres) -> None:
    """From now on a commit is acknowledged when the standby has it."""
    primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.execute("SELECT pg_reload_conf()")
    eventually(lambda: primary.query("SELECT sync_state FROM pg_stat_replication") == [("sync",)])


def caller_is_ready(site: Site) -> bool:
    """Whether /readyz becomes ready."""
    return bool(eventually(lambda: site.get("/readyz")[0] == 200, seconds=60))


class Load:
    """Notices posted one after another; each is repeated with its id until it is known to be accepted."""

    def __init__(self, caller: Caller) -> None:
        self.caller, self.accepted, self.statuses = caller, [], set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._post)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _post(self) -> None:
        number = 0
        while not self._stop.wait(0.05):
            job_id = f"load-{number}"
            status = self.caller.post_notice(job_id).status
            self.statuses.add(status)
            if status in (202, 409):
                self.accepted.append(job_id)
                number += 1
