"""Each check of the queue has an id, a sentence and a fix; each is broken once here."""

import pytest
from django.conf import settings

from jobs import checks
from jobs.core import job_types
from jobs.core.job_types import Execution, JobType, Policy, Unique
from notifier.checks import check_shared_cache
from tests.support import sample_types

RISING = {**settings.Q_CLUSTER, "timeout": 30, "retry": 60}


@pytest.mark.filterwarnings("ignore:Overriding setting")
@pytest.mark.parametrize(
    ("check", "changed", "expected"),
    [
        (checks.order_of_times, {"Q_CLUSTER": {**RISING, "timeout": 50}, "JOB_LEASE_SECONDS": 45}, "jobs.E001"),
        (checks.order_of_times, {"Q_CLUSTER": {**RISING, "retry": 40}, "JOB_LEASE_SECONDS": 45}, "jobs.E001"),
        (checks.no_connection_pool, {"DATABASES": {"default": {"OPTIONS": {"pool": True}}}}, "jobs.E002"),
        (checks.broker_on_our_database, {"Q_CLUSTER": {**RISING, "orm": "other"}}, "jobs.E003"),
        (checks.one_master_of_retries, {"Q_CLUSTER": {**RISING, "ack_failures": False}}, "jobs.E004"),
        (checks.one_master_of_retries, {"Q_CLUSTER": {**RISING, "save_limit": 250}}, "jobs.E004"),
        (check_shared_cache, {"CACHES": {"default": {"BACKEND": "x.LocMemCache"}}}, "notifier.W004"),
    ],
)
def test_a_wrong_setting_is_reported_with_its_fix(settings, check, changed, expected):
    assert check() == []
    for name, value in changed.items():
        setattr(settings, name, value)
    messages = check()
    assert [message.id for message in messages] == [expected]
    assert messages[0].hint


EVENT_WAITS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)  # 75.6 hours


def type_with(**policy: object) -> JobType:
    return JobType(sample_types.NAME, handler=print, policy=Policy(**policy))


@pytest.mark.parametrize(
    ("kind", "fault", "field"),
    [
        (JobType(sample_types.NAME, handler=print, lane="fast"), "the lane 'fast' is not one of urgent,", "lane"),
        (type_with(max_attempts=0), "max_attempts is 0", "policy.max_attempts"),
        (type_with(max_attempts=True), "max_attempts is True", "policy.max_attempts"),
        (type_with(max_attempts=101), "max_attempts is 101", "policy.max_attempts"),
        (type_with(max_attempts=3, backoff=(1, 2, 3)), "3 waits are between 4 attempts, not 3", "policy.max_attempts"),
        (type_with(backoff=()), "backoff is ()", "policy.backoff"),
        (type_with(backoff=(1, 86_401)), "each wait must be 0.01 s to 24 h", "policy.backoff"),
        (type_with(backoff=float("nan")), "backoff is nan", "policy.backoff"),
        (type_with(backoff="2"), "backoff is '2'", "policy.backoff"),
        (type_with(expires=0), "expires is 0", "policy.expires"),
        (type_with(backoff=EVENT_WAITS), "take up to 83.1 h, and a job expires after 24.0 h", "policy.expires"),
        (type_with(expires=30), "the last ones are never made", "policy.expires"),
        (type_with(timeout=0), "the timeout 0 is not", "policy.timeout"),
        (type_with(timeout=1.5), "the timeout 1.5 is not", "policy.timeout"),
        (type_with(unique=Unique(period=-1)), "unique.period is -1", "policy.unique"),
        (type_with(unique=Unique(period=91 * 86_400)), "a row is deleted after 90 days", "policy.unique"),
        (type_with(unique=Unique(key="order")), "unique.key is 'order'", "policy.unique"),
        (
            JobType(sample_types.NAME, handler=print, policy=Policy(timeout=60), execution=Execution(threads=True)),
            "it runs in threads",
            "policy.timeout",
        ),
    ],
)
def test_a_policy_that_cannot_be_followed_stops_the_start(kind, fault, field):
    assert checks.possible_policies() == []
    with sample_types.registered():
        job_types.register(kind)
        [found] = checks.possible_policies()
    assert found.id == "jobs.E005"
    assert found.msg.startswith("The job type 'test-job': ")
    assert fault in found.msg
    assert found.hint == f"Change its {field} where it is registered."


def test_the_schedule_of_events_is_possible():
    policy = Policy(backoff=EVENT_WAITS, expires=4 * 86_400)
    assert (policy.attempts, round(sum(policy.waits) / 3600, 1)) == (10, 75.6)
    with sample_types.registered(policy=policy):
        assert checks.possible_policies() == []


def test_attempts_of_the_settings_alone_stop_no_start(settings):
    settings.JOB_MAX_ATTEMPTS = 20  # as in version 0.9.0: the last ones are not made
    assert checks.possible_policies() == []
