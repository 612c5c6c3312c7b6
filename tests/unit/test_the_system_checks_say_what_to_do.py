"""Each check of the queue has an id, a sentence and a fix; each is broken once here."""

import re
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router

import jobs
from jobs import checks, installation
from jobs.apps import JobsConfig
from jobs.core import job_types
from jobs.core.job_types import Execution, JobType, Policy, Unique
from notifier.checks import check_shared_cache
from tests.support import sample_types
from tests.support.site import ROOT

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


class Elsewhere:
    """A router that sends all models to another database."""

    def db_for_write(self, _model, **_):
        return "other"


@pytest.mark.filterwarnings("ignore:Overriding setting")
@pytest.mark.parametrize(
    ("changed", "expected", "written"),
    [
        ({"INSTALLED_APPS": ["django_q", "jobs"]}, "jobs.E011", '"jobs" before "django_q"'),
        ({"INSTALLED_APPS": ["django_q.apps.DjangoQConfig", "jobs.apps.JobsConfig"]}, "jobs.E011", "INSTALLED_APPS"),
        ({"Q_CLUSTER": {"broker_class": "django_q.brokers.orm.ORM"}}, "jobs.E011", "django_q"),
        ({"USE_TZ": False}, "jobs.E013", "USE_TZ = True"),
    ],
)
def test_what_a_project_lacks_is_named_with_what_to_write(settings, changed, expected, written):
    assert installation.check_installation() == []
    for name, value in changed.items():
        setattr(settings, name, value)
    [found] = [message for message in installation.check_installation() if message.id == expected]
    assert written in found.hint


def test_a_router_that_sends_jobs_elsewhere_is_refused(monkeypatch):
    monkeypatch.setattr(router, "routers", [Elsewhere()])
    [found] = installation.check_installation()
    assert (found.id, '"default"' in found.hint) == ("jobs.E012", True)


@pytest.mark.parametrize(
    ("vendor", "options", "expected"),
    [("mysql", {}, "jobs.E012"), ("sqlite", {}, "jobs.W003"), ("sqlite", {"transaction_mode": "IMMEDIATE"}, None)],
)
def test_a_database_that_cannot_hold_jobs_is_refused(monkeypatch, vendor, options, expected):
    default = connections["default"]
    monkeypatch.setattr(default, "vendor", vendor, raising=False)
    monkeypatch.setitem(default.settings_dict, "OPTIONS", options)
    assert [message.id for message in installation.check_installation()] == ([expected] if expected else [])


def test_a_package_of_the_project_with_the_name_of_the_queue_is_refused(settings, tmp_path):
    (tmp_path / "jobs").mkdir()
    settings.BASE_DIR = str(tmp_path)
    assert installation.check_installation() == [], "not a package"
    (tmp_path / "jobs" / "__init__.py").touch()
    assert [message.id for message in installation.check_installation()] == ["jobs.E014"]


def test_a_project_with_nothing_to_enqueue_is_warned(settings, monkeypatch):
    monkeypatch.setattr(installation, "all_types", list)
    assert installation.check_installation() == []
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}
    [found] = installation.check_installation()
    assert (found.id, "jobs.tasks.Backend" in found.hint) == ("jobs.W002", True)


def test_without_django_q_the_start_says_what_to_write():
    project = "SECRET_KEY='x', INSTALLED_APPS=['jobs']"
    code = f"import django; from django.conf import settings; settings.configure({project}); django.setup()"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert 'INSTALLED_APPS = [..., "jobs", "django_q"]' in ended.stderr


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"JOB_LEASE_SECONDS": "45"}, "JOB_LEASE_SECONDS is '45': set it to a number of at least 4, or remove it."),
        ({"JOB_BATCH_SIZE": 0}, "JOB_BATCH_SIZE is 0: set it to a number of at least 1, or remove it."),
        ({"RETENTION_DAYS_JOBS": True}, "RETENTION_DAYS_JOBS is True: set it to a number of at least 2, or remove it."),
        ({"Q_BROKER": "pigeon"}, "Q_BROKER is 'pigeon': set it to one of orm, redis, sqs."),
        ({"Q_BROKER": "redis", "REDIS_URL": "", "Q_CLUSTER": {}}, 'set REDIS_URL = "redis://127.0.0.1:6379/0".'),
    ],
)
def test_an_impossible_value_of_a_projects_settings_stops_the_start(settings, changed, fault):
    JobsConfig("jobs", jobs)
    for name, value in changed.items():
        setattr(settings, name, value)
    with pytest.raises(ImproperlyConfigured, match=re.escape(fault)):
        JobsConfig("jobs", jobs)
