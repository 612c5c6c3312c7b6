"""The mail server, its password, PostgreSQL and Redis go away and come back; the queue sees to itself."""

import pytest
import redis
from django_q.conf import Conf
from moto.server import ThreadedMotoServer

from jobs.brokers.redis import RedisBroker
from tests.support.machine import eventually
from tests.support.ports import free_port
from tests.support.postgres import Postgres
from tests.support.queues import clusters_of, enqueue, sent, statuses
from tests.support.site import Site
from tests.support.smtp_server import SmtpServer

SHORT = {"JOB_LEASE_SECONDS": "6", "EMAIL_TIMEOUT": "3"}


@pytest.fixture
def smtp():
    server = SmtpServer()
    server.start()
    yield server
    server.stop()


def jobs(number: int) -> list[str]:
    return [f"job-{count}" for count in range(number)]


def test_what_died_of_a_dead_mail_server_is_sent_automatically_once_it_answers(smtp):
    smtp.stop()
    with Site(EMAIL_PORT=str(smtp.port), JOB_BACKOFF_SECONDS="0.1", **SHORT) as site, clusters_of(site) as start:
        start()
        enqueue(site, *jobs(20))
        eventually(lambda: statuses(site) == {"dlq": 20})
        why = site.sql("SELECT DISTINCT dlq_reason, error_class, fingerprint, attempt_count FROM job_logs")
        assert why == [("exhausted", "unreachable", "ConnectionRefusedError", 5)]
        smtp.start()
        eventually(lambda: statuses(site) == {"completed": 20}, seconds=60)
    assert set(sent(smtp).values()) == {1}
    assert len(sent(smtp)) == 20


def test_a_wrong_password_holds_everything_and_costs_no_attempt(smtp):
    smtp.behave(login="notifier:right")
    login = {"EMAIL_HOST_USER": "notifier", "EMAIL_HOST_PASSWORD": "wrong"}
    with Site(EMAIL_PORT=str(smtp.port), **login, **SHORT) as site, clusters_of(site) as start:
        start()
        site.start("web")
        enqueue(site, *jobs(10))
        eventually(lambda: site.sql("SELECT 1 FROM jobs_jobtypestate WHERE breaker_opened_at IS NOT NULL"))
        status, answer = site.get("/readyz")
        assert (status, "the breaker is open" in answer) == (200, True), "people can sign in: the web stays ready"
        assert statuses(site)["dlq"] == 0
        assert site.sql(
            "SELECT max(max_attempts - attempt_count), min(max_attempts - attempt_count) FROM job_logs"
        ) == [(5, 5)]

        smtp.behave(login="notifier:wrong")  # the server learns the password that we have: no restart of ours
        eventually(lambda: statuses(site) == {"completed": 10}, seconds=60)
        eventually(lambda: "the breaker is open" not in site.get("/readyz")[1])
    assert set(sent(smtp).values()) == {1}


def test_a_database_that_is_away_at_the_start_and_in_between_is_waited_for(smtp, own_postgres: Postgres):
    own_postgres.execute("CREATE DATABASE away")
    with Site(DATABASE_URL=own_postgres.url("away"), EMAIL_PORT=str(smtp.port), **SHORT) as site:
        site.manage("migrate")
        own_postgres.stop()
        with clusters_of(site) as start:
            start()
            own_postgres.start()
            enqueue(site, "first")
            eventually(lambda: statuses(site) == {"completed": 1}, seconds=60)
            own_postgres.restart()
            enqueue(site, "second")
            eventually(lambda: statuses(site) == {"completed": 2}, seconds=60)
    assert set(sent(smtp).values()) == {1}


def test_a_database_that_goes_away_during_a_send_does_not_send_it_twice(smtp, own_postgres: Postgres):
    smtp.behave(at="DATA", delay=1.5)
    own_postgres.execute("CREATE DATABASE away")
    with Site(DATABASE_URL=own_postgres.url("away"), EMAIL_PORT=str(smtp.port), JOB_LEASE_SECONDS="20") as site:
        site.manage("migrate")
        with clusters_of(site) as start:
            start()
            enqueue(site, "a")
            eventually(lambda: smtp.mails)
            own_postgres.restart()
            eventually(lambda: statuses(site) == {"completed": 1}, seconds=60)
    assert list(sent(smtp).values()) == [1]


@pytest.fixture
def over_redis(smtp, redis_url):
    with Site(
        EMAIL_PORT=str(smtp.port), Q_BROKER="redis", REDIS_URL=redis_url, JOB_BACKOFF_SECONDS="0.2", **SHORT
    ) as made:
        yield made


def test_over_redis_jobs_are_sent_retried_and_rescued(smtp, over_redis):
    smtp.behave(at="RCPT", answer="450 4.2.1 busy", times=2)
    with clusters_of(over_redis) as start:
        cluster = start()
        enqueue(over_redis, *jobs(10))
        eventually(lambda: statuses(over_redis) == {"completed": 10}, seconds=60)
        assert len(over_redis.sql("SELECT 1 FROM job_attempts")) == 2
        assert over_redis.sql("SELECT count(*) FROM django_q_ormq") == [(0,)]

        smtp.behave(at="DATA", delay=2.5, times=1)
        enqueue(over_redis, "killed")
        eventually(lambda: cluster.find("busy worker") and len(smtp.mails) >= 11)
        cluster.kill("busy worker")
        eventually(lambda: statuses(over_redis) == {"completed": 11}, seconds=60)
    assert set(sent(smtp).values()) <= {1, 2}
    assert len(sent(smtp)) == 11


def test_over_redis_messages_that_redis_lost_are_put_again(smtp, over_redis, redis_url):
    enqueue(over_redis, *jobs(10))
    redis.Redis.from_url(redis_url).flushdb()
    with clusters_of(over_redis) as start:
        start()
        eventually(lambda: statuses(over_redis) == {"completed": 10}, seconds=60)
    assert set(sent(smtp).values()) == {1}


def test_over_redis_what_is_handed_back_comes_before_what_came_later(redis_url, monkeypatch):
    monkeypatch.setattr(Conf, "REDIS", redis_url)
    broker = RedisBroker("handing-back")
    for delay, message in [(0.0, "first"), (0.0, "second"), (-5.0, "handed back"), (5.0, "not yet")]:
        broker.delay = delay
        broker.enqueue(message)
    in_line = broker.connection.lrange(broker.list_key, 0, -1)
    assert [message.partition(b":")[2] for message in in_line] == [b"handed back", b"first", b"second"]


def test_while_redis_is_away_enqueuing_works_and_nothing_is_lost(smtp):
    settings = {"Q_BROKER": "redis", "REDIS_URL": "redis://127.0.0.1:1/0"}
    with Site(EMAIL_PORT=str(smtp.port), **settings, **SHORT) as site:
        enqueue(site, "a")
        assert statuses(site) == {"enqueued": 1}


def test_over_sqs_jobs_are_sent_and_retried(smtp):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    aws = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_DEFAULT_REGION": "ap-northeast-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    smtp.behave(at="RCPT", answer="450 4.2.1 busy", times=1)
    try:
        with Site(EMAIL_PORT=str(smtp.port), Q_BROKER="sqs", **aws, **SHORT) as site, clusters_of(site) as start:
            start()
            enqueue(site, *jobs(10))
            eventually(lambda: statuses(site) == {"completed": 10}, seconds=60)
            assert len(site.sql("SELECT 1 FROM job_attempts")) == 1
    finally:
        server.stop()
    assert set(sent(smtp).values()) == {1}
