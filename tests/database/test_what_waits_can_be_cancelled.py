"""Requests that wait: the deletion of an account, a lost second factor, an operator's restore."""

import re
import time
from datetime import timedelta
from html import unescape

import pytest
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.contrib.auth.signals import user_logged_in
from django.test import Client
from django.utils import timezone

from accounts import privacy
from accounts.credentials import Credential
from accounts.links import dispute_links
from accounts.mail.brand import site_name
from accounts.notices import account
from accounts.pending import flow
from accounts.pending.request import PendingRequest, RequestKind
from accounts.rights import restore
from accounts.user import User
from jobs.core.job import JobLog
from tests.support.people import PASSWORD, browser, last, person, sign_in, signed_in_browser
from tests.support.rights import mails, pass_days, post_checked
from tests.support.tables import renamed

pytestmark = pytest.mark.django_db


def confirmed(user: User, *addresses: str, days_ago: float = 100) -> None:
    """Give an account confirmed addresses, each a day younger than the one before."""
    for number, address in enumerate(addresses):
        EmailAddress.objects.create(user=user, email=address, verified=True, primary=not number)
        since = timezone.now() - timedelta(days=days_ago - number)
        Credential.objects.filter(user=user, address=address).update(since=since)


@pytest.fixture
def bat():
    user = person()
    confirmed(user, "bat@example.mn", "bat@second.mn")
    return user


@pytest.fixture
def here(bat):
    return signed_in_browser()


@pytest.fixture
def deleting(here):
    answer = post_checked(here, "/accounts/delete/")
    assert answer.url == "/accounts/deleting/"
    return PendingRequest.objects.get()


def answer(link: str, value: str = "cancel"):
    return Client().post(link, {"answer": value})


def test_a_deletion_asks_for_the_password_first(bat, here):
    assert here.post("/accounts/delete/").url.startswith("/accounts/reauthenticate/")
    assert not PendingRequest.objects.exists()
    assert here.get("/accounts/delete/").status_code == 200


def test_an_account_that_is_to_be_deleted_is_closed_and_every_address_is_notified(bat, here, deleting):
    assert here.get("/accounts/activity/").status_code == 302
    assert sign_in(browser()).status_code == 200, "the form again, as for a wrong password"
    assert set(mails("delete", "asked")) == {"bat@example.mn", "bat@second.mn"}
    assert here.get("/accounts/deleting/").status_code == 200


def test_after_seven_days_it_is_gone_and_every_address_is_notified(bat, deleting):
    pass_days(6.9)
    assert User.objects.filter(pk=bat.pk).exists()
    pass_days(0.2)
    assert not User.objects.filter(pk=bat.pk).exists()
    assert set(mails("delete", "done")) == {"bat@example.mn", "bat@second.mn"}
    assert JobLog.objects.filter(user_id=str(bat.pk)).exclude(payload={}).count() == 0, "its own jobs are blank"


@pytest.mark.parametrize("address", ["bat@example.mn", "bat@second.mn"])
def test_each_address_cancels_it_and_the_account_is_open_again(bat, deleting, address):
    link = mails("delete", "asked")[address]
    assert answer(link).status_code == 302
    assert b"cancelled on" in Client(headers={"accept-language": "en"}).get(link).content
    assert set(mails("delete", "cancelled")) == {"bat@example.mn", "bat@second.mn"}
    pass_days(8)
    assert sign_in(browser()).status_code == 302


@pytest.mark.parametrize("sent", [None, {}, {"answer": "keep"}, {"answer": "on"}, {"answer": ["keep", "cancel"]}])
def test_a_robot_cancels_nothing(deleting, sent):
    link = mails("delete", "asked")["bat@example.mn"]
    answered = Client().get(link) if sent is None else Client().post(link, sent)
    assert answered.status_code == 200
    deleting.refresh_from_db()
    assert deleting.waits
    assert b"checked" not in answered.content


def test_it_never_runs_while_an_address_is_leaving(bat, deleting):
    Credential.objects.filter(address="bat@second.mn").update(state="leaving", removed_at=timezone.now())
    EmailAddress.objects.filter(email="bat@second.mn").delete()
    pass_days(5)
    Credential.objects.filter(address="bat@second.mn").update(removed_at=timezone.now())
    pass_days(3)
    assert User.objects.filter(pk=bat.pk).exists()
    pass_days(4.1)
    assert not User.objects.filter(pk=bat.pk).exists()


def test_a_leaving_address_cancels_it(bat, deleting):
    link = mails("delete", "asked")["bat@second.mn"]
    Credential.objects.filter(address="bat@second.mn").update(state="leaving", removed_at=timezone.now())
    answer(link)
    assert PendingRequest.objects.get().cancelled_at


def test_an_address_that_was_given_up_does_not_cancel_it(bat, deleting):
    link = mails("delete", "asked")["bat@second.mn"]
    Credential.objects.filter(address="bat@second.mn").update(state="gone")
    assert answer(link).status_code == 404
    assert PendingRequest.objects.get().waits


def test_the_name_and_the_leaving_addresses_cannot_be_taken_meanwhile(bat, deleting):
    Credential.objects.filter(address="bat@second.mn").update(state="leaving", removed_at=timezone.now())
    EmailAddress.objects.filter(email="bat@second.mn").delete()
    other = person("other")
    theirs = EmailAddress.objects.create(user=other, email="bat@second.mn")
    path = f"/accounts/confirm-email/{EmailConfirmationHMAC(theirs).key}/"
    Client().post(path)
    theirs.refresh_from_db()
    assert not theirs.verified
    Credential.objects.update(state="gone")
    Client().post(path)
    theirs.refresh_from_db()
    assert theirs.verified, "after that, it can"


def test_this_was_not_me_cancels_the_deletion(bat, here):
    link = dispute_links.dispute_path(last().pk)
    post_checked(here, "/accounts/delete/")
    Client().post(link, {"answer": "not-me"})
    assert PendingRequest.objects.get().cancelled_at
    bat.refresh_from_db()
    assert bat.is_active


def test_an_account_that_an_operator_opened_again_is_not_deleted(bat, deleting):
    User.objects.filter(pk=bat.pk).update(is_active=True)
    pass_days(8)
    assert User.objects.filter(pk=bat.pk).exists()
    assert PendingRequest.objects.get().cancelled_at


def test_a_broken_queue_delays_the_emails_but_loses_none(bat, here):
    with renamed("job_logs"):
        post_checked(here, "/accounts/delete/")
    assert PendingRequest.objects.get().waits
    flow.sweep()
    assert set(mails("delete", "asked")) == {"bat@example.mn", "bat@second.mn"}


def test_one_request_that_fails_does_not_stop_the_others(bat, monkeypatch):
    other = person("other")
    confirmed(other, "other@example.mn")
    first, second = flow.ask(bat, RequestKind.LOST_FACTOR), flow.ask(other, RequestKind.LOST_FACTOR)
    done = []

    def effect(request):
        if request.pk == first.pk:
            raise RuntimeError("broken")
        done.append(request.pk)

    monkeypatch.setitem(flow.effects, RequestKind.LOST_FACTOR, effect)
    for _ in range(3):
        pass_days(3)
    assert done == [second.pk]


def test_a_lost_factor_is_notified_on_days_0_3_and_6(bat):
    flow.ask(bat, RequestKind.LOST_FACTOR)
    sent = [len(mails("lost_factor", "asked"))]
    for _ in range(6):
        pass_days(1)
        sent.append(JobLog.objects.filter(payload__kind="pending").count())
    assert sent == [2, 2, 2, 4, 4, 4, 6]
    pass_days(1)
    assert PendingRequest.objects.get().done_at
    assert set(mails("lost_factor", "done")) == {"bat@example.mn", "bat@second.mn"}


@pytest.mark.parametrize(("method", "left"), [("password", 1), ("mfa", 0)])
def test_a_sign_in_with_the_factor_cancels_its_removal(bat, here, method, left):
    flow.ask(bat, RequestKind.LOST_FACTOR)
    request = here.get("/accounts/activity/").wsgi_request
    request.session["account_authentication_methods_user"] = str(bat.pk)
    request.session["account_authentication_methods"] = [{"method": method, "at": time.time()}]
    user_logged_in.send(User, request=request, user=bat)
    assert PendingRequest.objects.waiting().count() == left


def test_a_request_that_was_settled_long_ago_is_deleted(bat):
    flow.cancel(flow.ask(bat, RequestKind.LOST_FACTOR))
    waits = flow.ask(bat, RequestKind.LOST_FACTOR)
    assert privacy.prune(dry_run=False)["settled requests deleted"] == 0
    PendingRequest.objects.filter(cancelled_at__isnull=False).update(cancelled_at=timezone.now() - timedelta(days=91))
    assert privacy.prune(dry_run=False)["settled requests deleted"] == 1
    assert PendingRequest.objects.get() == waits


@pytest.fixture
def robbed(bat):
    """A thief added an address ten days ago and removed both of the owner's."""
    EmailAddress.objects.filter(email__startswith="bat@").update(primary=False)
    confirmed(bat, "thief@evil.mn", days_ago=10)
    then = timezone.now() - timedelta(days=9)
    mine = Credential.objects.filter(address__startswith="bat@")
    mine.update(state="gone", removed_at=then)
    EmailAddress.objects.filter(email__startswith="bat@").delete()
    User.objects.filter(pk=bat.pk).update(email="thief@evil.mn")
    bat.refresh_from_db()
    former = Credential.objects.get(address="bat@example.mn")
    assert restore.ask(bat, former, timezone.now() - timedelta(days=11), operator="saraa", reason="passport seen")
    return bat


def test_an_operators_restore_waits_72_hours_and_then_the_owner_has_the_account(robbed):
    pass_days(2.9)
    assert PendingRequest.objects.get().waits
    pass_days(0.2)
    robbed.refresh_from_db()
    assert robbed.email == "bat@example.mn"
    assert not robbed.has_usable_password()
    assert sign_in(browser(), "bat", PASSWORD).status_code != 302
    states = dict(Credential.objects.values_list("address", "state"))
    assert (states["bat@example.mn"], states["thief@evil.mn"]) == ("current", "held")
    way_back = mails("restore", "done")["bat@example.mn"]
    assert way_back.startswith("/accounts/password/reset/key/")
    assert not mails("restore", "done")["thief@evil.mn"].startswith("/accounts/password/reset/key/")


def test_every_address_is_notified_of_a_restore_and_only_older_addresses_can_stop_it(robbed):
    links = mails("restore", "asked")
    assert set(links) == {"bat@example.mn", "thief@evil.mn"}
    assert not links["thief@evil.mn"].startswith("/accounts/cancel/")
    assert answer(links["bat@example.mn"]).status_code == 302
    assert PendingRequest.objects.get().cancelled_at
    pass_days(4)
    robbed.refresh_from_db()
    assert robbed.email == "thief@evil.mn"


def test_a_forged_link_or_one_of_another_request_is_unknown(deleting):
    link = mails("delete", "asked")["bat@example.mn"]
    for path in ("/accounts/cancel/x/", link[:-3] + "aa/", link.replace("cancel", "lost-factor")):
        assert Client().get(path).status_code == 404


@pytest.mark.parametrize("language", ["mn", "en"])
@pytest.mark.parametrize("what", RequestKind.values)
@pytest.mark.parametrize("stage", ["asked", "reminder", "cancelled", "done"])
@pytest.mark.parametrize("more", [{}, {"mayCancel": "yes"}, {"operator": "yes"}])
def test_each_email_says_the_same_in_text_and_html_and_leads_to_one_place(bat, language, what, stage, more):
    at = "2026-03-01T01:30:00+00:00"
    payload = {
        "kind": "pending",
        "email": bat.email,
        "locale": language,
        "what": what,
        "stage": stage,
        "at": at,
        **more,
    }
    subject, text, html = account.render_mail(payload, bat, "https://example.mn/there/")
    assert subject.endswith(f" - {site_name(language)}")
    assert text.count("https://example.mn/there/") == 1
    assert set(re.findall('href="(http[^"]*)"', html)) == {"https://example.mn/there/"}
    words = unescape(re.sub("<style.*?</style>|<[^>]+>", " ", html, flags=re.S)).split()
    assert {word.strip(":-") for word in text.split()} <= {word.strip(":-") for word in words} | {""}
    assert bat.email not in text
