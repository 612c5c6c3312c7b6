"""The cache that counts: exact when many processes count at the same time, and a window that does not move."""

import base64
import multiprocessing
import pickle
import threading
from contextlib import suppress

import pytest
import redis
import time_machine
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection, connections

from notifier.web.rate_limit import RateLimit
from tests.support import api_client, faults
from tests.support.machine import redis_server
from tests.support.ports import free_port

pytestmark = pytest.mark.slow

PROCESSES, EACH = 8, 25
fork = multiprocessing.get_context("fork")


@pytest.fixture
def cache(transactional_db):
    cache = caches["default"]
    cache.clear()
    yield cache
    cache.clear()


def expiry(cache, key: str):
    with connection.cursor() as cursor:
        cursor.execute("SELECT expires FROM cache_entries WHERE cache_key = %s", [cache.make_key(key)])
        return cursor.fetchone()[0]


@pytest.mark.engine
def test_no_count_is_lost_between_processes(cache):
    connections.close_all()
    gate, totals = fork.Barrier(PROCESSES), fork.SimpleQueue()

    def count() -> None:
        gate.wait()
        for _ in range(EACH):
            totals.put(1 if cache.add("requests", 1, 60) else cache.incr("requests"))

    processes = [fork.Process(target=count) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    counts = sorted(totals.get() for _ in range(PROCESSES * EACH))
    for process in processes:
        process.join()
    assert counts == list(range(1, PROCESSES * EACH + 1))
    assert cache.get("requests") == PROCESSES * EACH


@pytest.mark.engine
def test_counting_does_not_move_the_expiry(cache):
    assert cache.add("a", 1, 1000)
    before = expiry(cache, "a")
    assert [cache.incr("a"), cache.incr("a", 5), cache.decr("a")] == [2, 7, 6]
    assert expiry(cache, "a") == before
    assert not cache.add("a", 1, 10)


@pytest.mark.engine
def test_what_has_expired_is_not_there(cache):
    cache.add("a", 5, -10)
    with pytest.raises(ValueError, match="not found"):
        cache.incr("a")
    assert cache.add("a", 1, 60)
    assert cache.incr("a") == 2
    with pytest.raises(ValueError, match="not found"):
        cache.incr("never")
    assert cache.add("for-ever", 1, None)
    assert cache.incr("for-ever") == 2


class Planted:
    """A value that runs code when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("a row of the cache ran code",)


@pytest.mark.engine
@pytest.mark.parametrize(
    "read", [lambda cache: cache.get("a"), lambda cache: cache.get_many(["a"]), lambda cache: cache.add("a", 1, 60)]
)
def test_a_pickle_that_an_attacker_wrote_into_the_table_never_runs(cache, read):
    cache.add("a", 1, 60)
    planted = base64.b64encode(pickle.dumps(Planted())).decode()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE cache_entries SET value = %s", [planted])
    with pytest.raises(ValueError, match="not found"):
        cache.incr("a")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM cache_entries")
        cursor.execute(
            "INSERT INTO cache_entries (cache_key, value, expires) VALUES (%s, %s, '2099-01-01')",
            [cache.make_key("a"), planted],
        )
    assert read(cache) in (None, {}, True)
    cache.set("a", 7, 60)
    assert cache.get("a") == 7
    assert cache.incr("a") == 8


@pytest.mark.engine
@pytest.mark.parametrize("value", ["7", 7.5, [7], {"7": 7}, "", "1-2"])
def test_only_a_whole_number_is_counted_up(cache, value):
    cache.set("a", value, 60)
    with pytest.raises(ValueError, match="not found"):
        cache.incr("a")
    assert cache.get("a") == value


@pytest.mark.postgresql
def test_a_count_costs_one_statement(cache, django_assert_num_queries):
    cache.add("a", -3, 60)
    with django_assert_num_queries(1):
        assert cache.incr("a", 5) == 2


@pytest.mark.engine
def test_a_value_that_is_not_json_is_refused(cache):
    with pytest.raises(TypeError):
        cache.set("a", object(), 60)


@pytest.mark.engine
def test_the_table_comes_with_migrate_alone(cache):
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE cache_entries")
    call_command("migrate", verbosity=0)
    assert cache.add("a", 1, 60)


@pytest.mark.processes
@pytest.mark.django_db
def test_a_counter_that_the_cache_loses_refuses_no_request(client, monkeypatch):
    bearer = {"headers": {"Authorization": f"Bearer {api_client.key('read')}"}}
    monkeypatch.setattr(type(caches["default"]), "add", lambda *_, **__: False)
    assert client.get("/api/jobs/a", **bearer).status_code == 404


@pytest.mark.django_db
def test_redis_counts_too_and_when_it_is_away_the_api_still_answers(client, settings):
    settings.API_RATE = "2/h"
    bearer = {"headers": {"Authorization": f"Bearer {api_client.key('read')}"}}
    with redis_server() as url:
        settings.CACHES = {"default": {"BACKEND": "notifier.cache.BoundedRedisCache", "LOCATION": url}}
        assert [client.get("/api/jobs/a", **bearer).status_code for _ in range(4)] == [404, 404, 429, 429]
        assert client.get("/api/jobs/a", **bearer)["Retry-After"].isdecimal()
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    settings.CACHES = {"default": {"BACKEND": "notifier.cache.BoundedRedisCache", "LOCATION": nowhere}}
    assert [client.get("/api/jobs/a", **bearer).status_code for _ in range(4)] == [404] * 4


@pytest.fixture
def busy(monkeypatch):
    """The largest blocks, as if each process served a million requests a second."""
    monkeypatch.setattr("notifier.web.rate_limit.BLOCK_SECONDS", 1e6)


def count_until_refused(limit: RateLimit, rate: str) -> int:
    """The requests of one client that are accepted before the first refusal."""
    accepted = 0
    while not limit.count("key:1", rate):
        accepted += 1
    return accepted


@pytest.mark.engine
@pytest.mark.processes
@pytest.mark.parametrize("rate", [7, 3_000])
def test_processes_together_accept_as_many_requests_as_the_limit_allows(cache, rate):
    connections.close_all()
    gate, accepted = fork.Barrier(4), fork.SimpleQueue()

    def serve() -> None:
        gate.wait()
        accepted.put(count_until_refused(RateLimit(), f"{rate}/d"))

    processes = [fork.Process(target=serve) for _ in range(4)]
    for process in processes:
        process.start()
    assert sum(accepted.get() for _ in processes) == rate
    for process in processes:
        process.join()


@pytest.mark.engine
@pytest.mark.usefixtures("busy")
def test_what_idle_processes_took_and_did_not_use_is_less_than_a_twentieth_of_the_limit(cache, settings):
    settings.WEB_WORKERS = 4
    limits, accepted = [RateLimit() for _ in range(4)], 0
    for limit in limits:
        for _ in range(400):
            accepted += not limit.count("key:1", "6000/d")
    accepted += count_until_refused(limits[0], "6000/d")
    assert 5700 <= accepted <= 6000
    accepted += sum(count_until_refused(limit, "6000/d") for limit in limits)
    assert accepted == 6000


@pytest.mark.engine
@pytest.mark.usefixtures("busy")
def test_a_process_that_does_not_know_what_others_used_takes_no_more_than_is_left(cache):
    one, other = RateLimit(), RateLimit()
    accepted = sum(
        not limit.count("key:1", "3000/d") for limit, times in ((one, 200), (other, 2700)) for _ in range(times)
    )
    accepted += sum(count_until_refused(limit, "3000/d") for limit in (one, other))
    assert accepted == 3000


@pytest.mark.engine
@pytest.mark.usefixtures("busy")
def test_a_process_asks_the_shared_counter_for_few_of_many_requests(cache, django_assert_max_num_queries):
    limit = RateLimit()
    with django_assert_max_num_queries(100):
        for _ in range(3_000):
            assert not limit.count("key:1", "1000000/m")


@pytest.mark.engine
def test_a_refused_client_is_accepted_in_the_next_window_and_not_before(cache):
    with time_machine.travel("2026-03-01T09:30:00Z", tick=False) as clock:
        limit = RateLimit()
        assert count_until_refused(limit, "3/m") == 3
        wait = limit.count("key:1", "3/m")
        assert 1 <= wait <= 60
        clock.shift(wait - 1)
        assert limit.count("key:1", "3/m") == 1
        clock.shift(1)
        assert count_until_refused(limit, "3/m") == 3


@pytest.mark.engine
def test_clients_that_a_process_forgets_are_still_counted(cache, monkeypatch):
    monkeypatch.setattr("notifier.web.rate_limit.MOST_CLIENTS", 2)
    limit = RateLimit()
    assert count_until_refused(limit, "3/d") == 3
    assert [limit.count(f"address:{number}", "3/d") for number in range(3)] == [0, 0, 0]
    assert limit.count("key:1", "3/d")


def test_a_counter_that_redis_loses_while_it_counts_is_not_begun_again_without_an_end(settings):
    with redis_server() as url, redis.Redis.from_url(url) as client:
        settings.CACHES = {"default": {"BACKEND": "notifier.cache.BoundedRedisCache", "LOCATION": url}}
        cache, stop, endless = caches["default"], threading.Event(), []
        name = cache.make_key("lost")

        def lose() -> None:
            while not stop.is_set():
                cache.add("lost", 1, 60)
                client.delete(name)

        losing = threading.Thread(target=lose)
        losing.start()
        for _ in range(3_000):
            with suppress(ValueError):
                cache.incr("lost")
            endless.append(client.ttl(name) == -1)
        stop.set()
        losing.join()
        assert not any(endless)


@pytest.mark.django_db
def test_while_the_cache_is_silent_or_loses_counters_a_guess_is_not_refused(client, settings):
    with redis_server() as url:
        settings.CACHES = {"default": {"BACKEND": "notifier.cache.BoundedRedisCache", "LOCATION": url}}
        guess = {"login": "unknown", "password": "wrong"}
        with redis.Redis.from_url(url) as server:
            for _ in range(30):
                server.flushdb()
                assert client.post("/accounts/login/", guess).status_code == 200
        with faults.stopped(faults.redis_pid(url)):
            assert [client.post("/accounts/login/", guess).status_code for _ in range(30)] == [200] * 30
