"""The servers that tests start: they are real, they come back, and they leave nothing behind."""

import psycopg
import pytest
import redis

from tests.support.site import Site


def test_a_postgres_of_ones_own_keeps_its_data_when_it_is_restarted_or_killed(own_postgres):
    own_postgres.execute("CREATE DATABASE kept")
    own_postgres.restart()
    own_postgres.kill()
    with pytest.raises(psycopg.OperationalError):
        own_postgres.execute("SELECT 1")
    own_postgres.start()
    own_postgres.execute("SELECT 1", database="kept")


def test_a_removed_postgres_leaves_no_file(own_postgres):
    own_postgres.remove()
    assert not own_postgres.folder.exists()


def test_a_redis_of_ones_own_answers(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        client.set("a", "b")
        assert client.get("a") == b"b"


@pytest.mark.engine
def test_a_site_of_ones_own_answers_and_ends_in_good_order():
    with Site() as site:
        site.start("mail", "worker", "web")
        assert site.get("/accounts/login/")[0] == 200
        assert site.stop("web", "worker", "mail") == {"web": 0, "worker": 0, "mail": 0}
    assert not site.folder.exists()
