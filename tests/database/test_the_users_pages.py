"""Home, help, Security and the list of emails: what they show, whose data, at what cost."""

import re
from datetime import timedelta
from html import unescape

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from django.utils import timezone

from accounts.links import dispute_links
from accounts.mail import rendering
from accounts.notices import account
from accounts.notices.sign_in import SignInNotice
from accounts.pages import front
from accounts.pages import notices as emails_page
from accounts.sign_in.event import SignIn
from accounts.sign_in.known_devices import Device
from accounts.sign_in.sessions import Session
from jobs.core.errors import ErrorClass
from jobs.core.job import JobLog, Reason, Status
from jobs.core.pauses import Lane
from jobs.maintenance.retention import BLANKED
from tests.support.people import CHROME, FIREFOX, SAFARI, browser, last, person, sign_in

pytestmark = pytest.mark.django_db
EN = {"accept-language": "en"}
SECURITY, EMAILS = "/accounts/security/", "/accounts/notices/"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def bat():
    return person()


@pytest.fixture
def here(bat):
    client = browser(CHROME)
    sign_in(client)
    return client


def text_of(client: Client, path: str) -> str:
    answer = client.get(path, headers=EN)
    assert answer.status_code == 200
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.content.decode())))


def an_email(user, number: int, **more) -> JobLog:
    values = {
        "job_type": account.JOB_TYPE,
        "user_id": str(user.pk),
        "payload": {"kind": "password_reset", "email": user.email},
        "max_attempts": 5,
        "expires_at": timezone.now() + timedelta(days=1),
        "processed_at": timezone.now(),
        "status": Status.COMPLETED,
    }
    return JobLog.objects.create(**{**values, "job_id": f"email-{user.pk}-{number}", **more})


# --- the front page and the help page


@pytest.mark.parametrize("path", ["/", "/help/"])
@pytest.mark.parametrize("language", ["en", "mn"])
def test_the_example_has_the_words_of_a_real_email(client, path, language):
    page = client.get(path, headers={"accept-language": language}).content.decode()
    letter = re.search(r'<div class="sheet">.*?</figure>', page, re.DOTALL)[0]
    said = [unescape(found).strip() for found in re.findall(r">([^<>]+)<", letter)]
    at = (timezone.now() - front.SAMPLE_AGE).isoformat()
    notice = SignInNotice(
        user_id="0",
        email="bat@example.mn",
        name="Бат" if language == "mn" else "Bat",
        provider="password",
        ip_address="203.0.113.7",
        browser="Firefox",
        system="Windows",
        timestamp=at,
        locale=language,
        timezone="",
        new_device=True,
        sign_in_id="00000000-0000-0000-0000-000000000000",
    )
    real = unescape(re.sub(r"\s+", " ", rendering.render_payload(notice.payload(), language)[2]))
    missing = [words for words in said if words and words not in real]
    place = {"mn": ["Байршил (ойролцоогоор)", "Герман"], "en": ["Place (approximate)", "Germany"]}[language]
    times = [words for words in missing if "UTC" in words]  # the minute may have changed in between
    assert set(missing) - set(times) <= set(place)
    assert len(said) > 15


@pytest.mark.parametrize("language", ["en", "mn"])
def test_the_example_of_the_page_has_the_words_of_the_real_page(client, here, language):
    example = client.get("/", headers={"accept-language": language}).content.decode()
    example = example.split('<div class="sheet">')[2].split("</figure>")[0]
    seen = last()
    real = Client().get(
        dispute_links.dispute_link(seen.pk, seen.email).removeprefix("http://testserver"),
        headers={"accept-language": language},
    )
    assert real.status_code == 200
    words = [unescape(found).strip() for found in re.findall(r">([^<>]+)<", example)]
    page = unescape(real.content.decode())
    assert [one for one in words if one and one not in page and "UTC" not in one and "Firefox" not in one] == []


def test_the_front_page_shows_a_user_the_way_to_the_account(client, here, bat):
    bat.first_name = "Болд"
    bat.save()
    page = here.get("/", headers=EN).content.decode()
    assert "You are signed in as Болд." in page
    main = page.split("<main")[1]
    for path in (SECURITY, EMAILS, "/accounts/activity/"):
        assert f'href="{path}"' in main
        assert f'href="{path}"' not in client.get("/").content.decode()


@pytest.mark.parametrize("path", ["/", "/help/"])
def test_visitors_cost_no_query(client, path, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get(path).status_code == 200


def test_help_is_linked_from_every_page(client):
    for path in ("/", "/accounts/login/", "/no-such-page"):
        assert 'href="/help/"' in client.get(path).content.decode()


def test_help_names_the_sender_and_the_limit_of_the_settings(client, settings):
    settings.DEFAULT_FROM_EMAIL = "Directory <letters@directory.example>"
    settings.SIGNIN_EMAILS_PER_HOUR = 7
    text = text_of(client, "/help/")
    assert "The sender is letters@directory.example." in text
    assert "no more than 7 emails" in text


# --- the bar


@pytest.mark.parametrize("path", ["/accounts/activity/", SECURITY, EMAILS, "/accounts/preferences/", "/help/", "/"])
def test_the_bar_marks_the_open_page(here, path):
    page = here.get(path).content.decode()
    header = page.split("</header>")[0]
    assert re.findall(r'href="([^"]+)" aria-current="page"', header) == [path]


def test_only_staff_see_the_way_to_the_administration(here, bat):
    assert 'href="/admin/"' not in here.get("/").content.decode()
    bat.is_staff = True
    bat.save()
    assert 'href="/admin/"' in here.get("/").content.decode()


# --- Security


def test_each_open_session_is_shown_with_its_device_and_can_be_ended_there(here):
    sign_in(browser(SAFARI, "198.51.100.9"))
    page = here.get(SECURITY, headers=EN).content.decode()
    assert page.count("this session") == 1
    assert 'class="icon device phone"' in page
    assert 'class="icon device computer"' in page
    assert "198.51.100.9" in page
    other = SignIn.objects.exclude(browser="Chrome").get()
    ended = here.post(f"/accounts/activity/{other.pk}/end/", {"from": "security"}, headers=EN, follow=True)
    assert ended.redirect_chain == [(SECURITY, 302)]
    assert "The session has ended: Mobile Safari, iOS" in ended.content.decode()
    assert f"/accounts/activity/{other.pk}/end/" not in ended.content.decode()


def test_the_page_that_has_the_button_is_shown_again_and_no_other(here):
    for said, shown in (("security", SECURITY), ("//evil.example", "/accounts/activity/"), ("", "/accounts/activity/")):
        sign_in(browser(FIREFOX))
        assert here.post(f"/accounts/activity/{last().pk}/end/", {"from": said}).url == shown


def test_sessions_without_a_recorded_sign_in_are_counted(here, bat):
    stray = Client()
    stray.force_login(bat)
    session = stray.session
    del session["sign_in"]
    session.save()
    assert "1 more session is open." in text_of(here, SECURITY)


def test_an_expired_session_is_not_open(here):
    sign_in(browser(FIREFOX))
    Session.objects.filter(sign_in=last().pk).update(expire_date=timezone.now())
    assert here.get(SECURITY).content.decode().count("/end/") == 1


def test_the_session_in_use_comes_first_and_more_than_a_page_of_them_are_counted(here, bat):
    made = SignIn.objects.bulk_create(SignIn(user=bat, method="password", browser="Edge") for _ in range(30))
    ends = timezone.now() + timedelta(days=1)
    Session.objects.bulk_create(
        Session(session_key=one.pk.hex, user_id=bat.pk, sign_in=one.pk, session_data="", expire_date=ends)
        for one in made
    )
    page = here.get(SECURITY, headers=EN).content.decode()
    assert page.count("/end/") == 20
    assert page.index("this session") < page.index("Edge")
    assert "11 more sessions are open." in page


def test_a_new_password_ends_the_other_sessions_and_says_so(here):
    sign_in(browser(FIREFOX))
    new = {"oldpassword": "seven-Steppe-horses", "password1": "other-Steppe-horse", "password2": "other-Steppe-horse"}
    answer = here.post("/accounts/password/change/", new, headers=EN, follow=True)
    assert answer.redirect_chain[-1][0] == SECURITY
    assert "Your new password is set. Every other session has ended." in answer.content.decode()
    assert answer.content.decode().count("/end/") == 1
    assert Session.objects.filter(user_id__isnull=False).count() == 1
    assert "Last changed on" in answer.content.decode()


def test_a_device_is_forgotten_there(here):
    page = here.get(SECURITY).content.decode()
    [path] = re.findall(r'action="(/accounts/devices/\d+/forget/)"', page)
    answer = here.post(path, headers=EN, follow=True)
    assert answer.redirect_chain == [(SECURITY, 302)]
    assert "Forgotten: Chrome, Windows." in answer.content.decode()
    assert not Device.objects.exists()


def test_every_way_to_sign_in_is_named_with_its_state(here, bat, settings):
    settings.GITHUB_CLIENT_ID = "x"
    text = text_of(here, SECURITY)
    for said in (
        "A password is set.",
        "You have no passkey.",
        "You have no authenticator app.",
        "No GitHub account is connected.",
        "bat@example.mn primary confirmed",
        "On: we email you about every sign-in.",
    ):
        assert said in text
    EmailAddress.objects.create(user=bat, email=bat.email, primary=True, verified=True)
    EmailAddress.objects.create(user=bat, email="new@example.mn")
    SocialAccount.objects.create(user=bat, provider="github", uid="7", extra_data={"login": "bold"})
    SocialAccount.objects.create(user=bat, provider="github", uid="8", extra_data={"login": None})
    Authenticator.objects.create(user=bat, type="totp", data={"secret": "x"})
    Authenticator.objects.create(user=bat, type="recovery_codes", data={"used_mask": 3, "seed": "x"})
    bat.notify_sign_ins = False
    bat.set_unusable_password()
    bat.save()
    here.force_login(bat)
    text = text_of(here, SECURITY)
    for said in (
        "No password is set.",
        "You are asked for its code after the password.",
        "Connected: bold, 8",
        "Codes left: 8 of 10",
        "new@example.mn not confirmed",
        "Off for usual sign-ins.",
        "A second factor protects your account",
    ):
        assert said in text


def test_github_is_not_offered_when_it_is_off(here, settings):
    settings.GITHUB_CLIENT_ID = ""
    assert "GitHub" not in text_of(here, SECURITY)


def test_security_takes_a_fixed_number_of_queries(here, bat, django_assert_max_num_queries):
    for number in range(15):
        sign_in(browser(FIREFOX, f"203.0.113.{number}"))
        EmailAddress.objects.create(user=bat, email=f"bat{number}@example.mn", verified=True)
        SocialAccount.objects.create(user=bat, provider="github", uid=str(number), extra_data={"login": "x"})
    with django_assert_max_num_queries(15):
        assert here.get(SECURITY).status_code == 200


# --- emails


@pytest.mark.parametrize(
    ("values", "state", "why"),
    [
        ({"status": Status.COMPLETED}, "sent", "A mail server accepted it:"),
        ({"status": Status.ENQUEUED}, "waiting", "It is on its way."),
        ({"status": Status.PROCESSING}, "waiting", "It is on its way."),
        (
            {"status": Status.FAILED, "error_class": ErrorClass.UNREACHABLE},
            "waiting",
            "Not sent yet, because the mail server could not be reached; the next attempt:",
        ),
        (
            {"status": Status.FAILED, "error_class": ErrorClass.TEMPORARY},
            "waiting",
            "Not sent yet, because the mail server did not accept it;",
        ),
        (
            {"status": Status.DLQ, "dlq_reason": Reason.EXHAUSTED, "error_class": ErrorClass.UNREACHABLE},
            "not delivered",
            "Could not be delivered: at every attempt, the mail server could not be reached.",
        ),
        ({"status": Status.DLQ, "dlq_reason": Reason.PERMANENT}, "not delivered", "mail server of the address refused"),
        ({"status": Status.DLQ, "dlq_reason": Reason.SUPPRESSED}, "not delivered", "bounced or were marked as spam."),
        ({"status": Status.DLQ, "dlq_reason": Reason.EXPIRED}, "not delivered", "because it was too old"),
        ({"status": Status.DLQ, "dlq_reason": Reason.POISON}, "not delivered", "a fault on our side."),
        ({"status": Status.DISCARDED, "error_class": ErrorClass.OBSOLETE}, "not sent", "it was no longer needed"),
        ({"status": Status.DISCARDED, "dlq_reason": Reason.CANCELLED}, "not sent", "it was cancelled."),
        ({"status": Status.DISCARDED}, "not sent", "an operator discarded it."),
    ],
)
def test_the_outcome_of_each_email_is_in_plain_words(here, bat, values, state, why):
    JobLog.objects.all().delete()
    an_email(bat, 1, **values)
    text = text_of(here, EMAILS)
    assert f"New password for your account {state} " in text
    assert why in text
    assert "to b***@example.mn" in text
    assert "bat@example.mn" not in text.split("Emails from us", 2)[2]


def test_every_reason_of_a_dead_letter_has_words():
    for reason in set(Reason) - {Reason.CANCELLED}:
        job = JobLog(status=Status.DLQ, dlq_reason=reason)
        assert emails_page.describe_outcome(job).why.startswith("Could not")


def test_every_kind_of_email_has_a_subject():
    kinds = set(account.LINKS) - {"pending", "events_off", "site_dispute"}  # the last two go to no user of this site
    assert kinds <= set(emails_page.SUBJECTS)


@pytest.mark.parametrize(
    ("payload", "lane", "subject"),
    [
        ({"newDevice": True}, Lane.ALERT, "Sign-in from a new device"),
        ({"signals": {"new_country": "DE"}}, Lane.ALERT, "Unusual sign-in"),
        ({}, Lane.ALERT, "Unusual sign-in"),
        ({"newDevice": False}, Lane.DEFAULT, "New sign-in to your account"),
    ],
)
def test_a_notice_of_a_sign_in_says_which_it_was(payload, lane, subject):
    job = JobLog(job_type="signin-notification", payload=payload, lane=lane)
    assert emails_page.SentEmail(job).subject == subject


def test_an_email_about_a_change_says_what_changed(here, bat):
    an_email(bat, 1, payload={"kind": "changed", "what": "password", "email": bat.email})
    an_email(bat, 2, payload={"kind": "pending", "what": "delete", "stage": "asked", "email": bat.email})
    text = text_of(here, EMAILS)
    assert "Your account was changed sent The password was changed or set." in text
    assert "Your account will be deleted sent" in text


def test_an_email_whose_payload_was_deleted_is_still_listed(here, bat):
    an_email(bat, 1, **BLANKED)
    text = text_of(here, EMAILS)
    assert "An email about your account sent" in text
    assert "the address is no longer stored" in text


@pytest.mark.parametrize("payload", [{"kind": HOSTILE, "email": HOSTILE}, {"kind": [], "email": 7}, {"kind": "changed", "what": []}])
def test_hostile_payloads_are_escaped(here, bat, payload):
    an_email(bat, 1, payload=payload)
    assert "<script>" not in here.get(EMAILS).content.decode()


def test_the_list_is_paged_by_a_cursor_that_only_this_site_makes(here, bat):
    JobLog.objects.all().delete()
    for number in range(45):
        an_email(bat, number, payload={"kind": "changed", "what": "name", "email": f"n{number}@example.mn"})
    seen, path = [], EMAILS
    while path:
        page = here.get(path).content.decode()
        seen += re.findall(r'<time datetime="[^"]+">', page)
        following = re.search(r'rel="next" href="(\?before=[^"]+)"', page)
        path = EMAILS + unescape(following[1]) if following else ""
    assert len(seen) == 45
    for wrong in ("x", "1", "999999999999999999999999:x", "\x00", HOSTILE):
        assert here.get(EMAILS, {"before": wrong}).content.decode().count("<time ") == 20


def test_the_emails_of_another_user_or_site_are_not_shown(here, bat):
    JobLog.objects.all().delete()
    other = person("saran")
    an_email(other, 1)
    an_email(bat, 2, source="shop", payload={"kind": "password_reset", "email": "secret@example.mn"})
    assert "No emails yet." in text_of(here, EMAILS)


@pytest.mark.parametrize("count", [1, 60])
def test_the_list_of_emails_takes_the_same_queries_for_any_number(here, bat, count, django_assert_num_queries):
    for number in range(count):
        an_email(bat, number)
    here.get(EMAILS)
    with django_assert_num_queries(4):  # session, user, the banner about the address, emails
        assert here.get(EMAILS).status_code == 200


# --- all of them


@pytest.mark.parametrize("path", [SECURITY, EMAILS])
def test_strangers_are_led_to_the_sign_in_page(path):
    assert Client().get(path).url == f"/accounts/login/?next={path}"


@pytest.mark.parametrize("path", [SECURITY, EMAILS, "/", "/help/"])
def test_the_pages_take_no_post(here, path):
    assert here.post(path).status_code == 405


def test_security_shows_nothing_of_another_user(here):
    other = person("saran")
    EmailAddress.objects.create(user=other, email="hidden@example.mn", verified=True)
    SocialAccount.objects.create(user=other, provider="github", uid="9", extra_data={"login": "hidden-login"})
    sign_in(browser(SAFARI, "198.51.100.77"), "saran")
    page = here.get(SECURITY).content.decode()
    assert not {found for found in ("hidden", "198.51.100.77", "Safari", "saran") if found in page}


@pytest.mark.parametrize("path", [SECURITY, "/accounts/activity/"])
def test_hostile_names_of_browsers_are_escaped(here, path):
    SignIn.objects.update(browser=HOSTILE, system=HOSTILE)
    Device.objects.update(browser=HOSTILE, system=HOSTILE)
    page = here.get(path).content.decode()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_device_has_the_icon_of_its_kind(here):
    for system, icon in (("Android", "phone"), ("Mac OS X", "computer"), ("Tizen", "unknown"), ("", "unknown")):
        SignIn.objects.update(system=system)
        page = here.get("/accounts/activity/").content.decode()
        assert f'<span class="icon device {icon}" aria-hidden="true"></span>' in page
