"""A second factor that is lost together with its recovery codes: asked for by mail, or by an operator."""

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import Permission
from django.test import Client

from accounts import credentials
from accounts.pending.request import PendingRequest
from accounts.user import User
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog
from tests.support.factors import SECOND_STEP, add_app, code, enter_code
from tests.support.people import browser, person, sign_in, sign_out, signed_in_browser
from tests.support.rights import link_of, mails, pass_days

pytestmark = pytest.mark.django_db
PAGE = "/accounts/lost-factor/"


@pytest.fixture
def bat():
    user = person()
    for address in (user.email, "bat@second.mn"):
        EmailAddress.objects.create(user=user, email=address, verified=True, primary=address == user.email)
    return user


@pytest.fixture
def here(bat):
    return signed_in_browser()


@pytest.fixture
def secret(here):
    """The secret of the app that Bat adds before signing out."""
    added = add_app(here)
    sign_out(here)
    return added


def links() -> dict[str, str]:
    return {job.payload["email"]: link_of(job) for job in JobLog.objects.filter(payload__kind="lost_factor")}


@pytest.fixture
def link(secret):
    """The link in the email; any address of the account asks for it."""
    assert Client().post(PAGE, {"email": "bat@second.mn"}).status_code == 302
    return links()["bat@example.mn"]


def test_only_the_oldest_address_gets_the_link(link):
    assert list(links()) == ["bat@example.mn"]


def test_the_page_reveals_no_account(bat):
    answers = [Client().post(PAGE, {"email": email}) for email in ("bat@example.mn", "unknown@example.mn")]
    assert [(answer.status_code, answer.url) for answer in answers] == [(302, "/accounts/login/")] * 2
    assert links() == {}, "nothing without a second factor either"


@pytest.mark.parametrize("sent", [None, {}, {"answer": "not-lost"}, {"answer": ["lost", "not-lost"]}])
def test_a_robot_asks_for_nothing(link, sent):
    answer = Client().get(link) if sent is None else Client().post(link, sent)
    assert answer.status_code == 200
    assert not PendingRequest.objects.exists()


def test_after_seven_days_the_password_is_enough(bat, here, link):
    Client().post(link, {"answer": "lost"})
    assert set(mails("lost_factor", "asked")) == {"bat@example.mn", "bat@second.mn"}
    pass_days(6.9)
    assert sign_in(here).url == SECOND_STEP
    pass_days(0.2)
    assert not credentials.has_factor(bat)
    assert sign_in(browser()).url == "/accounts/activity/"
    login = "/accounts/login/"  # where a new factor can be set up
    assert mails("lost_factor", "done") == {"bat@example.mn": login, "bat@second.mn": login}


def test_a_sign_in_with_the_app_cancels_it(bat, here, link, secret):
    Client().post(link, {"answer": "lost"})
    sign_in(here)
    assert PendingRequest.objects.get().waits, "the password alone cancels nothing"
    enter_code(here, code(secret, 1))
    assert PendingRequest.objects.get().cancelled_at
    pass_days(8)
    assert credentials.has_factor(bat)


def test_the_link_of_an_address_that_was_removed_does_nothing(bat, link):
    User.objects.filter(pk=bat.pk).update(email="bat@second.mn")
    EmailAddress.objects.filter(email="bat@example.mn").delete()
    assert Client().post(link, {"answer": "lost"}).status_code == 404


def test_an_operator_asks_for_it_with_a_reason_and_it_waits_72_hours(bat, secret):
    boss = person("boss", is_staff=True)
    boss.user_permissions.set(Permission.objects.filter(codename__in=["view_user", "remove_factors"]))
    client = Client()
    client.force_login(boss)
    path = f"/admin/accounts/user/{bat.pk}/remove-factors/"
    assert client.post(path, {"reason": ""}).status_code == 200
    assert client.post(path, {"reason": "passport seen"}).status_code == 302
    assert AuditEntry.objects.get().act == "remove_factors"
    pass_days(2.9)
    assert credentials.has_factor(bat)
    pass_days(0.2)
    assert not credentials.has_factor(bat)
