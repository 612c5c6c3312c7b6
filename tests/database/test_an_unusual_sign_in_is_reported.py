"""Signals end to end: stored with the sign-in, explained in the email and on the pages, and never silenced."""

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.mail.content import dispute_url
from accounts.notices import digest
from accounts.notices.digest import DigestEntry
from accounts.sign_in import outbox
from accounts.sign_in.event import NoticeStatus, SignIn
from accounts.user import User
from jobs.core.job import JobLog, Status
from jobs.worker import entry
from tests.support import country_database
from tests.support.people import (
    CHROME,
    FIREFOX,
    PASSWORD,
    browser,
    last,
    let_time_pass,
    person,
    sign_in,
    sign_out,
)
from tests.support.tables import locked, renamed

pytestmark = pytest.mark.django_db
MONGOLIA, GERMANY = "203.0.113.7", "198.51.100.7"
COUNTRIES = {
    "203.0.113.0/24": {"iso_code": "MN", "names": {"en": "Mongolia"}},
    "198.51.100.0/24": {"iso_code": "DE", "names": {"en": "Germany"}},
}


@pytest.fixture
def countries(settings, tmp_path):
    settings.GEOIP_PATH = str(country_database.write(tmp_path / "countries.mmdb", COUNTRIES))


@pytest.fixture
def bat():
    return person(language="en")


def again(client, address=None):
    """The same browser signs in once more."""
    sign_out(client)
    if address:
        client.defaults["REMOTE_ADDR"] = address
    return sign_in(client)


def notices():
    return JobLog.objects.filter(job_type="signin-notification").order_by("id")


def work(jobs):
    for job in jobs.filter(status=Status.ENQUEUED):
        entry.run(job.pk, 1)


def alerts(number: int) -> None:
    """So many sign-ins, each from a browser that says nothing and has no cookie: a new device each time."""
    for _ in range(number):
        sign_in(browser(""))


@pytest.mark.usefixtures("countries", "bat")
def test_a_first_sign_in_from_another_country_is_reported_even_on_a_known_device():
    client = browser(CHROME, MONGOLIA)
    sign_in(client)
    assert (last().country, last().signals) == ("MN", {})
    let_time_pass(hours=3)
    again(client, GERMANY)
    assert (last().new_device, last().signals) == (False, {"new_country": "DE"})
    let_time_pass(days=1)
    again(client)
    assert last().signals == {}, "the country is known now"
    let_time_pass(days=1)
    again(client, MONGOLIA)
    assert last().signals == {}


@pytest.mark.usefixtures("countries", "bat")
def test_another_country_within_two_hours_is_reported():
    client = browser(CHROME, MONGOLIA)
    for address in (MONGOLIA, GERMANY, MONGOLIA):
        again(client, address)
        let_time_pass(hours=3)
    again(client, GERMANY)
    assert last().signals == {}
    let_time_pass(hours=1, minutes=50)
    again(client, MONGOLIA)
    assert last().signals == {"two_countries": "DE"}


@pytest.mark.usefixtures("bat")
def test_without_a_country_database_no_country_is_new():
    client = browser(CHROME, MONGOLIA)
    for address in (MONGOLIA, GERMANY):
        again(client, address)
    assert (last().country, last().signals, last().new_device) == ("", {}, False)


@pytest.mark.usefixtures("countries", "bat")
def test_a_country_database_that_is_new_makes_no_user_a_traveller(settings):
    database, settings.GEOIP_PATH = settings.GEOIP_PATH, ""
    client = browser(CHROME, MONGOLIA)
    again(client)
    settings.GEOIP_PATH = database
    again(client)
    assert (last().country, last().signals) == ("MN", {})


@pytest.mark.parametrize("where", ["/accounts/login/", "/admin/login/"])
def test_wrong_passwords_before_a_sign_in_are_reported_and_then_forgotten(bat, where):
    cache.clear()
    User.objects.filter(pk=bat.pk).update(is_staff=True)
    field = "username" if "admin" in where else "login"
    known, thief = browser(CHROME), browser(FIREFOX, GERMANY)
    sign_in(known)
    for _ in range(6):
        thief.post(where, {field: "bat", "password": "wrong"})
    assert thief.post(where, {field: "bat", "password": PASSWORD}).status_code == 302
    assert last().signals == {"after_failures": 6}
    again(known)
    assert last().signals == {}, "a sign-in ends the row of failures"
    sign_out(known)
    for _ in range(4):
        sign_in(known, password="wrong")
    sign_in(known)
    assert last().signals == {}, "anybody mistypes a password four times"


@pytest.mark.usefixtures("bat")
def test_a_strangers_wrong_passwords_are_reported_at_the_owners_next_sign_in():
    cache.clear()
    known, thief = browser(CHROME), browser(FIREFOX, GERMANY)
    sign_in(known)
    for _ in range(5):
        sign_in(thief, password="wrong")
    again(known)
    assert (last().new_device, last().signals) == (False, {"after_failures": 5})


@pytest.mark.usefixtures("bat")
def test_a_sign_in_after_ninety_days_is_reported_however_short_sign_ins_are_kept(settings):
    settings.RETENTION_DAYS_SIGN_INS = 30
    client = browser(CHROME)
    sign_in(client)
    let_time_pass(days=89)
    again(client)
    assert last().signals == {}
    let_time_pass(days=91)
    SignIn.objects.all().delete()
    again(client)
    [absence] = last().signals.items()
    assert absence[0] == "long_absence"


@pytest.mark.usefixtures("bat")
def test_an_account_whose_sign_ins_are_all_deleted_is_not_new_again():
    sign_in(browser(CHROME))
    let_time_pass(days=200)
    SignIn.objects.all().delete()
    sign_in(browser(FIREFOX, GERMANY))
    assert (last().new_device, last().vouched) == (True, False)


@pytest.mark.usefixtures("countries", "bat")
def test_what_was_disputed_makes_nothing_known():
    sign_in(browser(CHROME, MONGOLIA))
    sign_in(browser(FIREFOX, GERMANY))
    SignIn.objects.filter(country="DE").update(disputed_at="2026-01-01T00:00Z")
    let_time_pass(hours=3)
    sign_in(browser(FIREFOX, GERMANY))
    assert (last().new_device, last().signals) == (True, {"new_country": "DE"})


@pytest.mark.usefixtures("countries", "bat")
def test_a_signal_is_explained_in_the_email_on_the_page_and_in_the_admin(client):
    mine = browser(CHROME, MONGOLIA)
    sign_in(mine)
    let_time_pass(days=100)
    again(mine, GERMANY)
    work(notices())
    message = mail.outbox[-1]
    text, html = message.body, message.alternatives[0][0]
    for body in (text, html):
        assert body.index("First sign-in from Germany") < body.index("Account")
        assert "First sign-in since" in body
        assert "There was an unusual sign-in" in body
        assert "from a new device" not in body
    page = mine.get("/accounts/activity/", headers={"accept-language": "en"}).content.decode()
    assert "First sign-in from Germany" in page
    client.force_login(person("boss", is_staff=True, is_superuser=True, language="en"))
    for path in ("/admin/accounts/signin/", f"/admin/accounts/signin/{last_of('bat').pk}/change/"):
        assert "First sign-in from Germany" in client.get(path, headers={"accept-language": "en"}).content.decode()


def last_of(name: str) -> SignIn:
    return SignIn.objects.filter(user__username=name).latest("at")


def test_no_preference_stops_an_alert(bat):
    User.objects.filter(pk=bat.pk).update(notify_sign_ins=False)
    client = browser(CHROME)
    sign_in(client)
    let_time_pass(days=91)
    again(client)
    assert (last().new_device, list(last().signals), last().notice) == (False, ["long_absence"], NoticeStatus.QUEUED)


@pytest.mark.engine
@pytest.mark.usefixtures("bat")
def test_alerts_and_routine_notices_do_not_use_up_each_others_limit(settings):
    client = browser(CHROME)
    for _ in range(settings.SIGNIN_EMAILS_PER_HOUR + 1):
        again(client)
    assert last().notice == NoticeStatus.LIMITED
    alerts(10)
    assert set(SignIn.objects.filter(new_device=True).values_list("notice", flat=True)) == {NoticeStatus.QUEUED}
    alerts(1)
    assert last().notice == NoticeStatus.DIGEST
    let_time_pass(hours=2)
    alerts(10)
    again(client)
    assert last().notice == NoticeStatus.QUEUED
    assert notices().filter(lane="default").count() == settings.SIGNIN_EMAILS_PER_HOUR + 1


@pytest.mark.engine
def test_alerts_above_the_limit_are_in_one_summary_an_hour_and_none_is_lost(bat):
    sign_in(browser(CHROME))
    alerts(14)
    assert SignIn.objects.filter(notice=NoticeStatus.DIGEST).count() == DigestEntry.objects.count() == 4
    digest.enqueue_digests()
    alerts(3)
    digest.enqueue_digests()
    summaries = JobLog.objects.filter(job_type="signin-summary")
    assert (summaries.count(), DigestEntry.objects.count()) == (1, 3)
    work(summaries)
    [message] = mail.outbox
    assert message.to == [bat.email]
    assert message.body.count("203.0.113.7") == 4
    assert "/accounts/not-me/" in message.body
    assert "Several unusual sign-ins" in message.subject
    let_time_pass(hours=1, minutes=1)
    DigestEntry.objects.update(due_at="2020-01-01T00:00Z")
    digest.enqueue_digests()
    assert (summaries.count(), DigestEntry.objects.count()) == (2, 0)
    listed = [event["signInId"] for job in summaries for event in job.payload["events"]]
    notified = [job.payload["signInId"] for job in notices()]
    assert sorted([*listed, *notified]) == sorted(str(pk) for pk in SignIn.objects.values_list("pk", flat=True))


def test_a_summary_of_a_deleted_account_goes_nowhere(bat):
    alerts(12)
    digest.enqueue_digests()
    [job] = JobLog.objects.filter(job_type="signin-summary")
    bat.delete()
    assert not DigestEntry.objects.exists()
    entry.run(job.pk, 1)
    assert mail.outbox == []


@pytest.mark.engine
def test_an_alert_goes_to_every_confirmed_address_once_and_a_routine_notice_to_one(bat):
    for address, verified in [("bat@example.mn", True), ("old@example.mn", True), ("x@example.mn", False)]:
        EmailAddress.objects.create(user=bat, email=address, verified=verified, primary=address == bat.email)
    sign_in(browser(CHROME))
    assert [job.payload["email"] for job in notices()] == ["bat@example.mn"]
    sign_in(browser(FIREFOX, GERMANY))
    prefix = f"signin-{last().pk}"
    sent = {job.job_id: job.payload["email"] for job in notices().filter(job_id__startswith=prefix)}
    assert sent == {prefix: "bat@example.mn", f"{prefix}.2": "old@example.mn"}
    assert len({dispute_url(job.payload) for job in notices()}) == 3, "each link acts for its own address"


@pytest.mark.engine
def test_ten_alerts_an_hour_reach_every_address(bat):
    for address in ("bat@example.mn", "old@example.mn", "third@example.mn"):
        EmailAddress.objects.create(user=bat, email=address, verified=True, primary=address == bat.email)
    sign_in(browser(CHROME))
    alerts(11)
    for address in ("bat@example.mn", "old@example.mn", "third@example.mn"):
        assert notices().filter(lane="alert", payload__email=address).count() == 10
    assert sorted(DigestEntry.objects.values_list("address", flat=True)) == [
        "bat@example.mn",
        "old@example.mn",
        "third@example.mn",
    ]
    digest.enqueue_digests()
    assert JobLog.objects.filter(job_type="signin-summary").count() == 3


def test_an_account_whose_own_address_is_not_confirmed_gets_alerts_at_the_others(bat):
    EmailAddress.objects.create(user=bat, email="bat@example.mn", verified=False, primary=True)
    EmailAddress.objects.create(user=bat, email="old@example.mn", verified=True)
    sign_in(browser(CHROME))
    assert last().notice == NoticeStatus.UNVERIFIED
    sign_in(browser(FIREFOX, GERMANY))
    assert (last().notice, last().email) == (NoticeStatus.QUEUED, "old@example.mn")


@pytest.mark.parametrize("spelling", ["::ffff:203.0.113.9", "::FFFF:CB00:7109", "203.0.113.9%eth0"])
def test_an_address_in_another_spelling_is_the_same_network(bat, rf, spelling):
    sign_in(browser(CHROME, MONGOLIA))
    sign_in(browser(CHROME, spelling))
    assert (last().ip, last().new_device) == ("203.0.113.9", False)


@pytest.mark.parametrize("address", ["fe80::1%eth0", "fe80::1%" + "x" * 300, "::1", "2001:db8::1%0"])
def test_an_address_with_a_zone_is_recorded_without_it(bat, address):
    assert sign_in(browser(CHROME, address)).status_code == 302
    assert last().ip == address.partition("%")[0]


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
@pytest.mark.parametrize("table", ["accounts_digestentry", "job_logs"])
def test_an_alert_that_cannot_be_enqueued_or_collected_is_not_lost(bat, table):
    sign_in(browser(CHROME))
    alerts(10)
    with renamed(table):
        alerts(1)
    assert last().notice == NoticeStatus.PENDING
    outbox.enqueue_pending()
    assert last().notice == NoticeStatus.DIGEST
    assert DigestEntry.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("table", ["accounts_device", "accounts_signin", "accounts_digestentry", "job_logs"])
def test_a_sign_in_works_while_a_table_is_locked(bat, table):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite locks the whole file")
    alerts(11)
    client = browser("")
    with locked(table):
        client.force_login(bat)
    assert "_auth_user_id" in client.session


@pytest.mark.parametrize("addresses", [1, 4])
def test_an_alert_takes_a_fixed_number_of_statements_however_long_the_history_is(bat, addresses, rf):
    for number in range(addresses):
        EmailAddress.objects.create(user=bat, email=f"{number}@example.mn", verified=True)
    User.objects.filter(pk=bat.pk).update(email="0@example.mn")
    sign_in(browser(CHROME))
    first = statements_of_an_alert()
    SignIn.objects.bulk_create(
        SignIn(user=bat, method="password", language="mn", time_zone="UTC", country="MN", network=f"{number:032}")
        for number in range(1000)
    )
    let_time_pass(hours=2)
    assert statements_of_an_alert() == first
    assert first <= 5 + addresses


def statements_of_an_alert() -> int:
    from accounts.sign_in import record

    user = User.objects.get(username="bat")
    request = browser("").request().wsgi_request
    request.path, request.META["HTTP_USER_AGENT"] = "/accounts/login/", ""
    with CaptureQueriesContext(connection) as queries:
        record.record_sign_in(user, request)
    assert last().new_device
    return len(queries)
