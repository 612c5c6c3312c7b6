"""The cache that counts: exact when many processes count at once, and a window that does not move."""

import multiprocessing

import pytest
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection, connections

from tests import api_client
from tests.machine import redis_server
from tests.postgres import free_port

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
    told = sorted(totals.get() for _ in range(PROCESSES * EACH))
    for process in processes:
        process.join()
    assert told == list(range(1, PROCESSES * EACH + 1))
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


@pytest.mark.engine
def test_the_table_comes_with_migrate_alone(cache):
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE cache_entries")
    call_command("migrate", verbosity=0)
    assert cache.add("a", 1, 60)


@pytest.mark.django_db
def test_redis_counts_too_and_when_it_is_away_the_api_still_answers(client, settings):
    settings.API_RATE = "2/h"
    bearer = {"headers": {"Authorization": f"Bearer {api_client.key('read')}"}}
    with redis_server() as url:
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}}
        assert [client.get("/api/jobs/a", **bearer).status_code for _ in range(4)] == [404, 404, 429, 429]
        assert client.get("/api/jobs/a", **bearer)["Retry-After"].isdecimal()
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": nowhere}}
    assert [client.get("/api/jobs/a", **bearer).status_code for _ in range(4)] == [404] * 4
