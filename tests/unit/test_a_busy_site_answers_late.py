"""A request that waited for a thread is answered while the database answers, and refused while it fails."""

import time

import pytest
from django.http import HttpRequest, HttpResponse

from notifier.web import waits
from notifier.web.arrival import ARRIVED
from notifier.web.outage import Outage, database_away


@pytest.fixture(autouse=True)
def trouble(monkeypatch):
    """The record of this process, empty."""
    monkeypatch.setattr(waits, "trouble", waits.Trouble())
    return waits.trouble


def status(waited: float, path: str = "/accounts/login/") -> int:
    """Return the status of the response to a request that waited so many seconds for a thread."""
    request = HttpRequest()
    request.META.update({ARRIVED: time.monotonic() - waited, "PATH_INFO": path})
    return Outage(lambda _: HttpResponse())(request).status_code


def left(waited: float) -> float:
    """Return the seconds for its statements."""
    seen = []
    application = waits.bounded(lambda _environ, _start: seen.append(waits.patience().left) or [])
    application({ARRIVED: time.monotonic() - waited}, None)
    return seen[0]


def test_a_busy_processor_alone_refuses_nothing_for_ten_seconds():
    assert [status(0), status(4), status(9)] == [200, 200, 200]
    assert status(11) == 503
    assert left(9) == waits.REQUEST_SECONDS


def test_a_program_is_asked_to_try_again():
    assert [status(2, "/api/jobs/signin-notification"), status(3, "/api/jobs/signin-notification")] == [200, 503]


def test_a_database_that_failed_a_request_makes_others_wait_no_longer():
    database_away(Exception())
    assert [status(0), status(3)] == [200, 503]
    assert left(2) < 1


def test_a_request_that_used_up_its_time_counts_as_a_failure_and_a_part_of_one_does_not(trouble):
    def use_up(_environ, _start):
        with waits.limited_to(0.5):
            waits.patience().spend(0.6)
        seen.append(bool(trouble))
        waits.patience().spend(waits.REQUEST_SECONDS)
        seen.append(bool(trouble))
        return []

    seen: list[bool] = []
    waits.bounded(use_up)({}, None)
    assert seen == [False, True]


def test_a_failure_is_forgotten(trouble, monkeypatch):
    trouble.report()
    later = time.monotonic() + waits.TROUBLE_SECONDS + 1
    monkeypatch.setattr(waits.time, "monotonic", lambda: later)
    assert not trouble
