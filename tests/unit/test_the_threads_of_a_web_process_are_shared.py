"""The shares of gunicorn's worker: no group of requests takes every thread, and their tasks run in order."""

import threading

import pytest

from notifier.web.worker import Share, Threads


@pytest.fixture
def shares():
    made = Threads(4)
    yield made
    made.shutdown()


def occupy(share: Share, tasks: int) -> threading.Event:
    """Give a share tasks that wait for the event."""
    end = threading.Event()
    for _ in range(tasks):
        share.submit(end.wait)
    return end


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost:", "people"),  # the rest may never come
        (b"GET /healthzz HTTP/1.1\r\n\r\n", "people"),
        (b"POST /healthz HTTP/1.1\r\nContent-Length: 9\r\n\r\n", "people"),
        (b"POST /api/jobs/signin-notification HTTP/1.1\r\n\r\n", "programs"),
        (b"POST /anymail/mailgun/tracking/ HTTP/1.1\r\n\r\n", "programs"),
        (b"GET /accounts/login/ HTTP/1.1\r\n\r\n", "people"),
        (b"\x16\x03\x01\x02", "people"),
        (b"", "people"),
    ],
)
def test_a_request_goes_to_the_share_of_its_kind(shares, head, name):
    assert shares.share_for(head) is getattr(shares, name)


@pytest.mark.parametrize(("busy", "free"), [("programs", "people"), ("people", "programs")])
def test_a_share_whose_requests_all_hang_leaves_the_other_a_thread(shares, busy, free):
    end = occupy(getattr(shares, busy), 20)
    try:
        assert getattr(shares, free).submit(lambda: "answered").result(10) == "answered"
    finally:
        end.set()


def test_tasks_of_a_share_run_in_order_and_an_error_stays_in_its_future(shares):
    done: list[int] = []
    one = Threads(1).people
    futures = [one.submit(done.append, number) for number in range(50)]
    failing = one.submit(lambda: 1 / 0)
    for future in futures:
        future.result(10)
    assert done == list(range(50))
    with pytest.raises(ZeroDivisionError):
        failing.result(10)
