"""P15: PostgreSQL, Redis or a locked table that is silent delays no request; /healthz answers whatever hangs.

Every request here is made while the fault lasts, and the fault lasts until it has been answered: without limits of our
own, no server would answer it.
"""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from tests.support import faults, machine, pgbouncer
from tests.support.machine import eventually
from tests.support.outside import Caller
from tests.support.postgres import Postgres
from tests.support.site import Site

pytestmark = pytest.mark.world

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


@pytest.fixture
def site(own_postgres: Postgres):
    own_postgres.execute("CREATE DATABASE silent")
    with Site(DATABASE_URL=own_postgres.url("silent")) as made:
        made.manage("migrate")
        made.start("web")
        yield made


@pytest.fixture
def caller(site: Site) -> Caller:
    return Caller(site)


def test_a_silent_postgres_is_answered_with_503_and_healthz_goes_on(site, caller, own_postgres):
    assert caller.post_notice("before").status == 202
    with faults.stopped(own_postgres.process):
        with ThreadPoolExecutor(24) as crowd:
            posts = [crowd.submit(caller.post_notice, f"during-{number}") for number in range(12)]
            pages = [crowd.submit(caller.get, "/accounts/login/") for _ in range(6)]
            signing_in = [crowd.submit(caller.sign_in) for _ in range(6)]
            assert [caller.get("/healthz").status for _ in range(20)] == [200] * 20
        refused = [future.result() for future in posts]
        assert {answer.status for answer in refused} == {503}
        assert {answer.headers["Content-Type"] for answer in refused} == {"application/problem+json"}
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
        assert {future.result().status for future in pages} <= {200, 503}
        assert {future.result().status for future in signing_in} == {503}
        page = caller.sign_in()
        assert page.status == 503
        assert page.headers["Retry-After"]
        assert "Сайт түр ажиллахгүй байна" in page.text
        assert "The site is temporarily unavailable" in page.text
    eventually(lambda: caller.post_notice("after").status in (202, 409))
    assert eventually(lambda: caller.sign_in().status == 200), "the form again: there is no such account"


def test_one_locked_table_delays_no_post_and_no_sign_in_page(site, caller, own_postgres):
    with faults.locked_table(own_postgres.url("silent"), "job_logs"):
        stop = threading.Event()
        with ThreadPoolExecutor(40) as crowd:
            posts = []

            def post_five_times_a_second() -> None:
                while not stop.wait(0.2):
                    posts.append(crowd.submit(caller.post_notice, f"locked-{len(posts)}"))

            load = threading.Thread(target=post_five_times_a_second)
            load.start()
            eventually(lambda: any(future.done() for future in posts))
            assert [caller.get(path).status for path in ("/healthz", "/accounts/login/") * 5] == [200] * 10
            assert caller.sign_in().status == 200
            stop.set()
            load.join()
        assert {future.result().status for future in posts} == {503}
        assert own_postgres.query(WAITING) == [(0,)], "what no client waits for does not go on in the server"
    assert caller.post_notice("after").status == 202


def test_behind_a_pooler_a_locked_table_is_answered_and_no_setting_is_left_to_others(own_postgres):
    own_postgres.execute("CREATE DATABASE silent")
    direct = own_postgres.url("silent")
    with pgbouncer.running(direct) as pools, Site(DATABASE_URL=f"{pools['transaction']}?pgbouncer=true") as site:
        site.manage("migrate")
        site.start("web")
        caller = Caller(site)
        with faults.locked_table(direct, "job_logs"):
            assert [caller.post_notice(f"locked-{number}").status for number in range(3)] == [503] * 3
            assert own_postgres.query(WAITING) == [(0,)]
        assert caller.post_notice("after").status == 202
        with psycopg.connect(pools["transaction"], autocommit=True) as other:
            limits = [other.execute(f"SHOW {name}").fetchone() for name in ("lock_timeout", "statement_timeout")]
        assert limits == [("0",), ("0",)]


def test_a_locked_table_of_the_cache_refuses_no_request(site, caller, own_postgres):
    with faults.locked_table(own_postgres.url("silent"), "cache_entries"):
        assert caller.post_notice("not counted").status == 202
        assert caller.sign_in().status == 200


def test_a_commit_that_waits_for_an_absent_standby_is_given_up_and_not_acknowledged(site, caller, own_postgres):
    own_postgres.execute("ALTER DATABASE silent SET synchronous_commit = on")
    own_postgres.execute("ALTER SYSTEM SET synchronous_standby_names = 'absent'")
    own_postgres.execute("SELECT pg_reload_conf()")
    own_postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'silent'")
    assert [caller.post_notice(job_id).status for job_id in ("first", "second", "absent")] == [503] * 3
    assert caller.get("/healthz").status == 200
    own_postgres.execute("ALTER SYSTEM RESET synchronous_standby_names")
    own_postgres.execute("SELECT pg_reload_conf()")
    assert eventually(lambda: caller.post_notice("absent").status in (202, 409))


def test_a_locked_sqlite_is_answered_with_503(tmp_path):
    file = tmp_path / "site.sqlite3"
    with Site(DATABASE_URL=f"sqlite:///{file}") as site:
        site.manage("migrate")
        site.start("web")
        caller = Caller(site)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert caller.post_notice("locked").status == 503
            assert caller.get("/healthz").status == 200
            other.execute("ROLLBACK")
        assert caller.post_notice("locked").status == 202


def test_dropped_packets_are_a_silent_postgres(own_postgres):
    if not faults.can_drop_packets():
        machine.missing("iptables, or the right to use it,", "iptables")
    own_postgres.execute("CREATE DATABASE silent")
    with Site(DATABASE_URL=own_postgres.url("silent")) as site:
        site.manage("migrate")
        caller = Caller(site)
        own_postgres.stop()
        with faults.own_network():
            own_postgres.start()
            site.start("web")
            assert caller.post_notice("before").status == 202
            with faults.packets_dropped(own_postgres.port):
                assert caller.get("/healthz").status == 200
                assert [caller.post_notice(f"during-{number}").status for number in range(4)] == [503] * 4
                assert caller.sign_in().status == 503
            eventually(lambda: caller.post_notice("after").status == 202)
            site.stop("web")
            own_postgres.stop()


def test_clients_that_connect_and_send_nothing_hold_no_thread(site, caller):
    with caller.silent_connections(40):
        assert caller.get("/healthz").status == 200
        assert caller.get("/accounts/login/").status == 200
