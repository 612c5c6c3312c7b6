"""Every change of an account is an event: who is emailed about it, and what the link in that email undoes."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.utils import timezone

from accounts.changes import leaving
from accounts.credentials import Credential
from accounts.links import dispute_links
from accounts.notices import account
from accounts.sign_in.event import AccountChange, SignIn
from accounts.user import User
from jobs.core.job import JobLog
from tests.support import robbery
from tests.support.people import PASSWORD, last, sign_in
from tests.support.robbery import EVIL, NEW, NOT_ME, OWN, confirm, make_primary, prove, remove, rob

pytestmark = pytest.mark.django_db
What, State = AccountChange.What, Credential.State


@pytest.fixture
def bat():
    return robbery.owner()


@pytest.fixture
def own_browser(bat):
    return robbery.own_browser()


def mailed(what):
    """Who got an email about a kind of change, and whether it has an undo link."""
    jobs = JobLog.objects.filter(job_type="security-mail", payload__what=what).order_by("pk")
    return {job.payload["email"]: bool(job.payload["mayUndo"]) for job in jobs}


def test_the_removed_address_gets_the_undo_link_and_the_thiefs_gets_one_that_acts_for_him_alone(bat, own_browser):
    rob(robbery.thief())
    assert mailed(What.ADDRESS_REMOVED) == {OWN: True, EVIL: True}
    removal = AccountChange.objects.get(what=What.ADDRESS_REMOVED)
    Client().post(robbery.link_for(removal, OWN), NOT_ME)
    bat.refresh_from_db()
    assert bat.email == OWN
    assert [row.email for row in EmailAddress.objects.filter(user=bat)] == [OWN]
    assert Credential.objects.get(address=EVIL).state == State.HELD


def test_the_start_of_a_disputed_change_is_the_sign_in_of_its_session(bat, own_browser):
    client = robbery.thief()
    prove(client)
    confirm(client, EVIL)
    client.post("/accounts/preferences/", {"language": "en", "time_zone": "", "password": PASSWORD})
    notices = AccountChange.objects.get(what=What.NOTICES)
    assert notices.sign_in == last().pk
    Client().post(robbery.link_for(notices, OWN), NOT_ME)
    assert not EmailAddress.objects.filter(email=EVIL).exists(), "it was added before the disputed change"


def test_the_profile_goes_back_and_the_email_is_in_the_language_of_before(bat, own_browser):
    User.objects.filter(pk=bat.pk).update(language="mn")
    client = robbery.thief()
    prove(client)
    client.post("/accounts/preferences/", {"language": "en", "time_zone": "", "password": PASSWORD})
    job = JobLog.objects.get(payload__what=What.NOTICES)
    assert job.payload["locale"] == "mn"
    Client().post(robbery.path_in(job, "not-me"), NOT_ME)
    bat.refresh_from_db()
    assert (bat.language, bat.notify_sign_ins) == ("mn", True)


def test_a_link_is_good_for_seven_days_after_the_event_whenever_it_was_made(bat, own_browser):
    rob(robbery.thief())
    AccountChange.objects.update(at=timezone.now() - timedelta(days=7, minutes=1))
    removal = AccountChange.objects.get(what=What.ADDRESS_REMOVED)
    assert Client().post(robbery.link_for(removal, OWN), NOT_ME).status_code == 410
    bat.refresh_from_db()
    assert bat.email == EVIL


def test_a_press_by_a_younger_address_closes_nothing_for_an_older_one(bat, own_browser):
    rob(robbery.thief())
    removal = AccountChange.objects.get(what=What.ADDRESS_REMOVED)
    hers, his = robbery.link_for(removal, OWN), robbery.link_for(removal, EVIL)
    Client().post(his, NOT_ME)
    Client().post(hers, NOT_ME)
    bat.refresh_from_db()
    assert bat.email == OWN
    assert Client().post(his, NOT_ME).status_code == 302
    bat.refresh_from_db()
    assert bat.email == OWN


def test_a_dispute_is_itself_an_event_that_an_older_address_can_undo(bat, own_browser):
    client = robbery.thief()
    prove(client)
    confirm(client, EVIL)
    make_primary(client, EVIL)
    client.post("/accounts/logout/")
    sign_in(client)
    robbery.press(last())
    assert mailed(What.REPORTED) == {OWN: True, EVIL: False}
    report = AccountChange.objects.get(what=What.REPORTED)
    Client().post(robbery.link_for(report, OWN), NOT_ME)
    assert not EmailAddress.objects.filter(email=EVIL).exists()


def test_a_removed_address_is_notified_on_days_three_and_six_and_its_power_ends(bat, own_browser):
    rob(robbery.thief())
    an_hour_ago()
    for day, sent in ((1, 0), (3, 1), (5, 1), (6, 2), (8, 2)):
        Credential.objects.filter(address=OWN).update(removed_at=timezone.now() - timedelta(days=day, minutes=1))
        leaving.remind()
        leaving.remind()
        assert reminders() == sent
        an_hour_ago()
    leaving.end_expired()
    assert Credential.objects.get(address=OWN).state == State.GONE


def an_hour_ago():
    """Whatever was emailed until now was emailed long ago."""
    JobLog.objects.update(created_at=timezone.now() - timedelta(hours=2))


def reminders():
    return JobLog.objects.filter(payload__kind="leaving", payload__email=OWN).count()


def test_the_reminder_undoes_the_removal(bat, own_browser):
    rob(robbery.thief())
    past = timezone.now() - timedelta(days=3, minutes=1)
    Credential.objects.filter(address=OWN).update(removed_at=past)
    AccountChange.objects.update(at=past)
    SignIn.objects.filter(vouched=False).update(at=past - timedelta(minutes=1))
    Credential.objects.filter(address=EVIL).update(since=past)
    an_hour_ago()
    leaving.remind()
    job = JobLog.objects.get(payload__kind="leaving")
    Client().post(robbery.path_in(job, "not-me"), NOT_ME)
    bat.refresh_from_db()
    assert bat.email == OWN


def test_leaving_and_held_addresses_read_no_device(bat, own_browser):
    rob(robbery.thief())
    jobs = JobLog.objects.filter(payload__what=What.ADDRESS_REMOVED)
    devices = {job.payload["email"]: job.payload["device"] for job in jobs}
    assert devices == {OWN: "", EVIL: "Firefox, Linux"}


def test_an_address_that_was_removed_with_a_proof_gets_no_undo_link(bat, own_browser):
    sign_in(own_browser)
    prove(own_browser)
    confirm(own_browser, NEW)
    make_primary(own_browser, NEW)
    remove(own_browser, OWN)
    assert Credential.objects.get(address=OWN).backing == Credential.Backing.PASSWORD
    assert mailed(What.ADDRESS_REMOVED) == {NEW: True, OWN: False}
    removal = AccountChange.objects.get(what=What.ADDRESS_REMOVED)
    assert Client().post(dispute_links.dispute_path(removal.pk, OWN), NOT_ME).status_code == 410


def test_the_page_of_addresses_says_which_removals_can_be_undone_and_how_to_prove_one(bat, own_browser):
    english = {"accept-language": "en"}
    EmailAddress.objects.create(user=bat, email=NEW, verified=True)
    sign_in(own_browser)
    prove(own_browser)
    said = own_browser.get("/accounts/email/", headers=english).content.decode()
    assert "A removal in this browser is final" in said
    client = robbery.thief()
    prove(client)
    said = client.get("/accounts/email/", headers=english).content.decode()
    assert "For seven days, an email to the removed address can undo a removal" in said


def test_an_address_that_was_taken_by_a_thief_cannot_be_confirmed_by_another_account_for_a_week(bat, own_browser):
    rob(robbery.thief())
    other = User.objects.create_user("other", "other@example.mn", PASSWORD)
    EmailAddress.objects.create(user=other, email="other@example.mn", verified=True, primary=True)
    client = Client()
    sign_in(client, "other")
    prove(client)
    client.post("/accounts/email/", {"action_add": "", "email": OWN})
    row = EmailAddress.objects.get(user=other, email=OWN)
    client.post(f"/accounts/confirm-email/{robbery.EmailConfirmationHMAC(row).key}/")
    assert not EmailAddress.objects.get(pk=row.pk).verified


def test_the_digest_of_changes_has_a_link_for_each():
    event = {"what": "password", "at": "2026-03-01T01:30:00+00:00", "eventId": str(robbery.SignIn().pk)}
    events = [{**event, "mayUndo": True}, {**event, "what": "name", "mayUndo": True}]
    payload = {"kind": "changed_digest", "email": OWN, "userId": "", "locale": "en", "events": events}
    _subject, text, html = account.render_mail(payload, None, "https://example.mn/there/")
    assert text.count("/accounts/not-me/") == html.count("/accounts/not-me/") == 2


def test_the_removed_mailbox_itself_can_say_that_it_was_given_up(bat, own_browser):
    rob(robbery.thief())
    removal = AccountChange.objects.get(what=What.ADDRESS_REMOVED)
    page = robbery.link_for(removal, OWN)
    assert 'value="gave-up"' in Client().get(page).content.decode()
    assert 'value="gave-up"' not in Client().get(robbery.link_for(removal, EVIL)).content.decode()
    Client().post(page, {"answer": "gave-up"})
    row = Credential.objects.get(address=OWN)
    assert (row.state, row.backing) == (State.GONE, Credential.Backing.MAILBOX)
    assert Client().post(page, NOT_ME).status_code == 410
