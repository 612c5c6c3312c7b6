"""A hundred clients, and a database that goes away while they post: every 202 is a job, every job is one."""

import threading
import time
from collections import Counter
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from django_q.models import OrmQ

from jobs.core.job import JobLog
from tests.support import api_client
from tests.support.live_site import Answer, LiveSite, database_url
from tests.support.postgres import Postgres

CLIENTS, USERS, EACH = 100, 50, 12
LIMIT = 10


def together(work, count: int) -> None:
    """`work(number)` in so many threads, all released together."""
    gate = threading.Barrier(count)

    def one(number: int) -> None:
        gate.wait()
        work(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def post_until_answered(
    site: LiveSite, body: dict[str, Any], token: str, refused: list[Answer] | None = None, **headers: str
) -> Answer:
    """Post as a client does: again after a 503, which a machine that is too slow for so many clients gives.

    refused: gets each 503.

    What a 503 was given for may have been stored: only with an Idempotency-Key is the second answer that of the first.
    """
    answer = site.call("POST", api_client.PATH, body, token, **headers)
    while answer.status == 503:
        if refused is not None:
            refused.append(answer)
        answer = site.call("POST", api_client.PATH, body, token, **headers)
    return answer


@pytest.mark.django_db(transaction=True)
def test_a_hundred_clients_for_fifty_users_get_exactly_what_the_limit_allows():
    token, seen = api_client.key("enqueue"), []

    def client(number: int) -> None:
        for turn in range(EACH):
            user = f"user-{(number + turn * 7) % USERS}"
            body = api_client.notification(userId=user, email=f"{user}@example.mn", jobId=f"{number}-{turn}")
            answer = post_until_answered(site, body, token, Idempotency_Key=body["jobId"])
            seen.append((user, answer.status, answer.headers["Retry-After"]))

    with LiveSite(threads=8) as site:
        together(client, CLIENTS)
        others = site.call("POST", api_client.PATH, api_client.notification(userId="new", jobId="0-0"), token)
    assert len(seen) == CLIENTS * EACH
    assert {status for _, status, _ in seen} == {202, 429}
    assert Counter(user for user, status, _ in seen if status == 202) == {f"user-{n}": LIMIT for n in range(USERS)}
    assert all(int(wait) > 0 for _, status, wait in seen if status == 429)
    assert JobLog.objects.count() == OrmQ.objects.count() == USERS * LIMIT
    assert others.status in (202, 422)


@pytest.mark.django_db(transaction=True)
def test_a_hundred_clients_with_one_notice_make_one_job():
    token, body, seen, refused = api_client.key("enqueue"), api_client.notification(), [], []
    with LiveSite(threads=8) as site:
        together(lambda _: seen.append(post_until_answered(site, body, token, refused).status), CLIENTS)
    hidden = 1 if refused and 202 not in seen else 0  # a 503 may have hidden the 202
    assert Counter(seen) + Counter({202: hidden}) == {202: 1, 409: CLIENTS - 1 + hidden}
    assert JobLog.objects.count() == OrmQ.objects.count() == 1


@pytest.fixture
def own_postgres(transactional_db):
    """A server that a test may stop, with the site's tables and a key."""
    with Postgres() as server:
        server.execute("CREATE DATABASE site")
        server.execute("ALTER DATABASE site SET synchronous_commit = on")  # what 202 promises rests on it
        default = connections["default"]
        before = dict(default.settings_dict)
        default.close()
        default.settings_dict.update(NAME="site", USER="postgres", PASSWORD="", HOST="127.0.0.1", PORT=server.port)
        try:
            call_command("migrate", verbosity=0)
            server.token = api_client.key("enqueue")
            server.site_url = database_url()
        finally:
            default.close()
            default.settings_dict.update(before)
        yield server


def test_a_stopped_database_is_a_503_and_no_accepted_notice_is_missing_afterwards(own_postgres):
    accepted, statuses, done = [], Counter(), threading.Event()

    def client(number: int) -> None:
        turn = 0
        while not done.is_set():
            job_id = f"{number}-{turn}"
            turn += 1
            body = api_client.notification(userId=job_id, email=f"{job_id}@example.mn", jobId=job_id)
            answer = site.call("POST", api_client.PATH, body, own_postgres.token)
            statuses[answer.status] += 1
            if answer.status == 202:
                accepted.append(job_id)
            elif answer.status == 503:
                assert int(answer.headers["Retry-After"]) > 0
                assert answer.body["type"] == "urn:notifier:problem:database-away"
            time.sleep(0.01)

    def until(condition) -> None:
        while not condition():
            time.sleep(0.02)

    with LiveSite(DATABASE_URL=own_postgres.site_url, API_RATE="1000000/m") as site:
        threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        try:
            for stop in (own_postgres.stop, own_postgres.kill):
                taken, refused = len(accepted), statuses[503]
                until(lambda taken=taken: len(accepted) > taken + 20)
                stop()
                until(lambda refused=refused: statuses[503] > refused + 20)
                own_postgres.start()
            taken = len(accepted)
            until(lambda: len(accepted) > taken + 20)
        finally:
            done.set()
            for thread in threads:
                thread.join()
    with psycopg.connect(own_postgres.url("site")) as there:
        kept = {row[0].rpartition(":")[2] for row in there.execute("SELECT job_id FROM job_logs")}
    assert set(statuses) == {202, 503}
    assert set(accepted) <= kept
    assert len(accepted) == statuses[202]
