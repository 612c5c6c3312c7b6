"""The list of emails: which, to whom, and what happened to each, in plain words."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone, translation

from accounts.notices import account
from accounts.pages import notices as emails_page
from jobs.core.errors import ErrorClass
from jobs.core.job import JobLog, Reason, Status
from jobs.core.pauses import Lane
from jobs.maintenance.retention import BLANKED
from tests.support.people import person, signed_in_browser, text_of

pytestmark = pytest.mark.django_db
EMAILS = "/accounts/notices/"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def bat():
    return person()


@pytest.fixture
def here(bat):
    return signed_in_browser()


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
        with translation.override("en"):
            assert emails_page.describe_outcome(job).why.startswith("Could not")


def test_every_kind_of_email_has_a_subject():
    of_other_sites = {"events_off", "key_ends", "site_dispute", "site_dispute_digest"}
    assert set(account.LINKS) - {"pending"} - of_other_sites <= set(emails_page.SUBJECTS)


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
    with translation.override("en"):
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


@pytest.mark.parametrize(
    "payload", [{"kind": HOSTILE, "email": HOSTILE}, {"kind": [], "email": 7}, {"kind": "changed", "what": []}]
)
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
