"""Each check of the queue has an id, a sentence and a fix; each is broken once here."""

import pytest
from django.conf import settings

from jobs import checks

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
        (checks.shared_cache, {"CACHES": {"default": {"BACKEND": "x.LocMemCache"}}}, "jobs.W001"),
    ],
)
def test_a_wrong_setting_is_told_with_its_fix(settings, check, changed, expected):
    assert check() == []
    for name, value in changed.items():
        setattr(settings, name, value)
    told = check()
    assert [message.id for message in told] == [expected]
    assert told[0].hint
