"""A user signs in every ten minutes, synthetically: its notice takes the whole way, and a missing one is seen."""

from datetime import timedelta

import pytest
from django.core import mail
from django.db.models.functions import Now

from accounts import synthetic
from accounts.sign_in.event import SignIn
from accounts.user import User
from jobs.core.job import JobLog, Status
from jobs.schedules import registry
from jobs.tasks.enqueue import enqueue_task
from jobs.worker import entry
from notifier.ops import collector
from tests.support import people

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

SENT = "notifier_synthetic_sign_in_sent_timestamp_seconds"


@pytest.fixture
def user(settings) -> User:
    settings.SYNTHETIC_SIGN_IN_USER = "robot"
    return people.person("robot")


def run() -> JobLog:
    job = enqueue_task(synthetic.sign_in)
    entry.run(job.pk, 1)
    job.refresh_from_db()
    return job


def notice() -> JobLog:
    return JobLog.objects.filter(job_type="signin-notification").latest("pk")


def sample() -> list[float]:
    return [s.value for family in collector.Collector().collect() for s in family.samples if s.name == SENT]


def test_its_notice_is_sent_to_the_user(user):
    assert run().status == Status.COMPLETED
    assert sample() == [0.0]
    entry.run(notice().pk, 1)
    assert [message.to for message in mail.outbox] == [[user.email]]
    assert sample() == [notice().processed_at.timestamp()]
    assert run().status == Status.COMPLETED


def test_a_notice_that_was_not_sent_is_a_dead_letter_of_the_next_one(user):
    run()
    stuck = notice()
    failed = run()
    assert failed.status == Status.DLQ
    assert stuck.job_id in failed.error
    assert SignIn.objects.count() == 2


def test_a_user_without_a_confirmed_address_or_no_user_is_reported(settings):
    settings.SYNTHETIC_SIGN_IN_USER = "robot"
    assert "names no user" in run().error
    User.objects.create_user("robot")
    assert "needs a confirmed address" in run().error


def test_its_sign_ins_are_kept_for_a_day(user):
    run()
    people.sign_in(people.browser(), "robot")
    SignIn.objects.update(at=Now() - timedelta(days=2))
    run()
    assert sorted(SignIn.objects.values_list("method", flat=True)) == ["code", "password"]


def test_it_is_off_unless_a_user_is_named():
    assert "synthetic-sign-in" not in registry.all_schedules()
    assert sample() == []
