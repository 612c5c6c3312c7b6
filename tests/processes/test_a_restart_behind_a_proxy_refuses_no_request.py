"""E7: two sites behind nginx are ended by SIGTERM and started again, in turn; no request sees it."""

import threading
from collections import Counter

import pytest

from tests.support.machine import eventually
from tests.support.nginx import nginx, second_web
from tests.support.outside import Caller
from tests.support.site import Site

pytestmark = pytest.mark.world

CLIENTS, ROUNDS = 8, 3


def test_a_rolling_restart_behind_nginx_gives_no_502():
    with Site(API_RATE="1000000/m") as first:
        second = second_web(first)
        first.start("web")
        second.start("web")
        try:
            with nginx(first.port, second.port) as port:
                statuses = roll(Caller(first, port), first, second)
        finally:
            second.stop("web")
    assert set(statuses) == {202, 200}, statuses


def roll(caller: Caller, *sites: Site) -> Counter:
    """End and start each site while clients post and read; how often each status was returned."""
    stop, statuses = threading.Event(), Counter()

    def call(client: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            statuses[caller.post_notice(f"client-{client}-{number}").status] += 1
            statuses[caller.get("/healthz").status] += 1

    clients = [threading.Thread(target=call, args=[client]) for client in range(CLIENTS)]
    for client in clients:
        client.start()
    for _ in range(ROUNDS):
        for site in sites:
            seen = sum(statuses.values())
            eventually(lambda seen=seen: sum(statuses.values()) > seen + 50, seconds=60)
            assert site.stop("web") == {"web": 0}
            site.start("web")
    stop.set()
    for client in clients:
        client.join()
    return statuses
