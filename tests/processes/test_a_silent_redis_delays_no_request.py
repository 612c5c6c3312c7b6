"""C5, E2 and E6: a Redis that is silent, or that loses a counter, delays and refuses no request."""

import time

import pytest
import redis

from jobs.brokers import redis_client
from notifier.cache import BoundedRedisCache
from tests.support import faults
from tests.support.machine import eventually
from tests.support.outside import Caller
from tests.support.queues import statuses
from tests.support.site import Site

pytestmark = pytest.mark.world


@pytest.fixture
def site(redis_url: str):
    with Site(REDIS_URL=redis_url, Q_BROKER="redis") as made:
        made.start("web")
        yield made


def test_while_redis_is_silent_posts_sign_ins_and_healthz_are_answered(site, redis_url):
    caller = Caller(site)
    caller.sign_in()
    with faults.stopped(faults.redis_pid(redis_url)):
        assert [caller.post_notice(f"silent-{number}").status for number in range(20)] == [202] * 20
        assert [caller.sign_in().status for _ in range(5)] == [200] * 5
        assert caller.get("/healthz").status == 200
        assert statuses(site) == {"enqueued": 20}
    assert caller.post_notice("after").status == 202


def test_what_redis_missed_while_it_was_silent_is_sent(site, redis_url):
    caller = Caller(site)
    with faults.stopped(faults.redis_pid(redis_url)):
        assert caller.post_notice("missed").status == 202
    site.start("mail", "worker")
    eventually(lambda: statuses(site) == {"completed": 1}, seconds=60)


def test_a_silent_redis_is_skipped_by_all_but_one_call_and_used_again(redis_url):
    client = redis_client.connect(redis_url)
    assert client.ping()
    with faults.stopped(faults.redis_pid(redis_url)):
        with pytest.raises(redis.TimeoutError):
            client.ping()
        with pytest.raises(redis.ConnectionError, match="just failed to answer"):
            redis_client.connect(redis_url).ping()
    assert eventually(lambda: pings(client))


def pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


@pytest.mark.parametrize(
    "call",
    [lambda url: redis_client.connect(url).ping(), lambda url: BoundedRedisCache(url, {}).get("a")],
    ids=["broker", "cache"],
)
def test_no_call_waits_for_seconds_for_a_silent_redis(redis_url, call):
    assert eventually(lambda: pings(redis_client.connect(redis_url)))
    with faults.stopped(faults.redis_pid(redis_url)):
        began = time.monotonic()
        with pytest.raises(redis.TimeoutError):
            call(redis_url)
        assert time.monotonic() - began < 3, "a quarter of a second, and what a busy machine adds"
