"""A hundred clients post for fifty users of three sites together: the limits are exact, each site counts for itself."""

import http.client
import json
import random
import threading
from collections import Counter

import pytest

from tests.support.api_client import PATH
from tests.support.hostile_bodies import notification
from tests.support.machine import HERE, eventually
from tests.support.site import Site

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]
SITES = ("shop", "bank", "Taxi 24")
CLIENTS, USERS, EACH = 100, 50, 12
FAMILY = 10  # of the users have one address, written in different ways
PER_USER, PER_ADDRESS = 10, 20  # SIGNIN_EMAILS_PER_HOUR and SIGNIN_EMAILS_PER_ADDRESS as shipped


@pytest.fixture
def notifier():
    with Site() as site:
        site.start("web")
        yield site


def body_of(number: int, turn: int) -> bytes:
    """Return a post for a user; the first of them share an address."""
    address = ("family@example.mn", "Family@Example.MN")[turn % 2] if number < FAMILY else f"user-{number}@example.mn"
    return json.dumps(notification(userId=f"user-{number}", email=address, jobId=f"{number}-{turn}")).encode()


def all_posts(keys: dict[str, str]) -> list[tuple[str, str, str, bytes]]:
    """Return every post in an order by chance: its site, its user, the key and the body."""
    users = [(site, number, turn) for site in keys for number in range(USERS) for turn in range(EACH)]
    random.Random(3).shuffle(users)
    return [(site, f"user-{number}", keys[site], body_of(number, turn)) for site, number, turn in users]


def post(connection: http.client.HTTPConnection, key: str, body: bytes) -> tuple[int, str]:
    """Return the status and the kind of the answer; repeat after a 503, which a machine too slow for so many gives."""
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Idempotency-Key": json.loads(body)["jobId"],  # what a 503 was given for may have been stored
    }
    while True:
        connection.request("POST", PATH, body, headers)
        answer = connection.getresponse()
        kind = json.loads(answer.read()).get("type", "")
        if answer.status != 503:
            return answer.status, kind.rpartition(":")[2]


def post_all(notifier: Site, posts: list[tuple[str, str, str, bytes]]) -> list[tuple[str, str, int, str]]:
    """Post with CLIENTS connections together; return the site, the user, the status and the kind of each answer."""
    gate, answers = threading.Barrier(CLIENTS), []

    def client(number: int) -> None:
        connection = http.client.HTTPConnection(HERE, notifier.port, timeout=60)
        gate.wait()
        for site, user, key, body in posts[number::CLIENTS]:
            answers.append((site, user, *post(connection, key, body)))
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def rows(notifier: Site, statement: str) -> Counter:
    """Return the rows of a statement, whose last column is a count."""
    return Counter({row[:-1]: row[-1] for row in notifier.sql(statement)})


def test_a_hundred_clients_of_three_sites_get_exactly_what_each_user_and_address_may_have(notifier):
    keys = {name: notifier.manage("create_api_key", name, "--scope", "enqueue").split()[-1] for name in SITES}
    posts = all_posts(keys)
    answers = post_all(notifier, posts)

    assert len(answers) == len(posts) == len(SITES) * USERS * EACH
    assert {(status, kind) for *_, status, kind in answers} == {(202, ""), (429, "too-many-notices")}
    accepted = Counter((site, user) for site, user, status, _ in answers if status == 202)
    for site in SITES:
        alone = {user: accepted[site, user] for user in (f"user-{number}" for number in range(FAMILY, USERS))}
        assert set(alone.values()) == {PER_USER}, (site, alone)
        family = [accepted[site, f"user-{number}"] for number in range(FAMILY)]
        assert (sum(family), max(family) <= PER_USER) == (PER_ADDRESS, True), (site, family)

    assert rows(notifier, "SELECT source, user_id, count(*) FROM job_logs GROUP BY 1, 2") == accepted
    sign_ins = (
        "SELECT slug, user_key, count(*) FROM accounts_signin JOIN accounts_site s ON s.id = site_id GROUP BY 1, 2"
    )
    assert rows(notifier, sign_ins) == accepted, "a refused post leaves nothing behind"
    assert notifier.sql("SELECT count(*) FROM django_q_ormq") == [(accepted.total(),)]
    counted = (
        "SELECT slug, status, sum(count) FROM api_requests JOIN api_keys k ON k.id = key_id "
        "JOIN accounts_site s ON s.id = k.site_id WHERE status <> 503 GROUP BY 1, 2"
    )
    answered = Counter((site, status) for site, _, status, _ in answers)
    eventually(lambda: rows(notifier, counted) == answered)
