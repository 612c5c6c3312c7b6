"""The operator opens the list and knows what is wrong; opens a job and knows why, and what to press."""

import csv
import io
import re

import pytest
from django.apps import apps
from django.contrib import admin

from jobs.admin.pages import export
from jobs.core import job_types, pauses
from jobs.core.job import Status
from tests.support.operators import EVERYTHING, LIST, job, signed_in, tried

pytestmark = pytest.mark.django_db


def ids(response):
    return [row.job.job_id for row in response.context["rows"]]


def text(response):
    return response.content.decode()


def test_the_list_opens_with_what_is_wrong_newest_first():
    client = signed_in(*EVERYTHING)
    for name, status in [("a", Status.DLQ), ("b", Status.COMPLETED), ("c", Status.FAILED), ("d", Status.ENQUEUED)]:
        job(name, status)
    assert ids(client.get(LIST)) == ["c", "a"]
    assert ids(client.get(LIST, {"status": "all"})) == ["d", "c", "b", "a"]
    assert ids(client.get(LIST, {"status": "dlq", "order": "oldest"})) == ["a"]


def test_nothing_wrong_is_said_in_so_many_words():
    client = signed_in(*EVERYTHING)
    job("a", Status.COMPLETED)
    assert "Nothing is wrong." in text(client.get(LIST))


def test_each_tab_says_how_many_jobs_it_has():
    client = signed_in(*EVERYTHING)
    for number in range(3):
        job(f"dead-{number}")
    job("done", Status.COMPLETED)
    counts = {tab["name"]: tab["count"] for tab in client.get(LIST).context["tabs"]}
    assert {name: count for name, count in counts.items() if count != "0"} == {
        "wrong": "3",
        "all": "4",
        "dlq": "3",
        "completed": "1",
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"reason": "permanent"}, ["p"]),
        ({"error_class": "permanent"}, ["p"]),
        ({"fingerprint": "SMTPRecipientsRefused 550"}, ["p"]),
        ({"source": "shop"}, ["p"]),
        ({"worker": "w9"}, ["p"]),
        ({"type": "signin-notification"}, ["x", "p"]),
        ({"attempts": "5"}, ["x"]),
        ({"within": "1h"}, ["x"]),
        ({"before": "2020-01-02T00:00"}, ["p"]),
        ({"after": "2020-01-02T00:00"}, ["x"]),
    ],
)
def test_a_filter_leaves_what_it_names(query, found):
    client = signed_in(*EVERYTHING)
    refused = {"fingerprint": "SMTPRecipientsRefused 550", "error_class": "permanent", "dlq_reason": "permanent"}
    job("p", source="shop", worker="w9", attempt_count=1, created_at="2020-01-01T00:00Z", **refused)
    job("x")
    assert ids(client.get(LIST, query)) == found


def test_a_search_looks_everywhere_and_an_address_never_enters_a_url():
    client = signed_in(*EVERYTHING)
    job("signin-1", Status.COMPLETED, user_id="42")
    job("signin-2", Status.COMPLETED, user_id="43", payload={"email": "other@example.mn"})
    for sought in ("signin-1", "42", "bat@example.mn"):
        response = client.post(f"{LIST}search/", {"q": sought})
        assert "@" not in response.url
        assert "%40" not in response.url
        assert ids(client.get(response.url)) == ["signin-1"]
    assert "No job has exactly this address." in text(client.post(f"{LIST}search/", {"q": "bat@example"}, follow=True))


def test_users_who_are_called_by_their_address_are_found_without_it_in_a_url():
    client = signed_in(*EVERYTHING)
    called = job("signin-1", user_id="bat@example.mn")
    found = client.post(f"{LIST}search/", {"q": "bat@example.mn"})
    assert found.url == f"{LIST}?q=signin-1"
    for address in (found.url, f"{LIST}{called.pk}/change/"):
        page = text(client.get(address))
        assert "bat@example.mn" not in page
        assert "bat%40example.mn" not in page


def test_pages_follow_one_another_without_gap_or_repetition():
    client = signed_in(*EVERYTHING)
    for number in range(120):
        job(f"job-{number:03}")
    seen, address = [], LIST
    while address:
        response = client.get(address)
        seen += ids(response)
        address = response.context["older"] and f"{LIST}?{response.context['older']}"
    assert seen == [f"job-{number:03}" for number in reversed(range(120))]


def test_a_dead_letters_page_tells_its_story_and_what_to_press():
    client = signed_in(*EVERYTHING)
    dead = job("signin-1", error_class="unreachable")
    for number in (1, 2):
        tried(dead, number, trace="Traceback: somewhere")
    page = text(client.get(f"{LIST}{dead.pk}/change/"))
    for said in (
        "could not be reached",
        "replayed automatically",
        "Attempt 2: failed",
        "1.50 s later",
        "Traceback: somewhere",
    ):
        assert said in page
    assert "Dead letter: every attempt failed" in page


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("permanent", "press Discard"),
        ("poison", "Do not replay it"),
        ("expired", "24 hours"),
        ("suppressed", "bounced"),
    ],
)
def test_every_reason_is_explained(reason, said):
    client = signed_in(*EVERYTHING)
    assert said in text(client.get(f"{LIST}{job('a', dlq_reason=reason).pk}/change/"))


def test_a_waiting_job_says_that_its_type_is_paused_by_whom_and_why():
    client = signed_in(*EVERYTHING)
    pauses.pause("signin-notification", who="dorj", why="the provider moves")
    page = text(client.get(f"{LIST}{job('a', Status.ENQUEUED).pk}/change/"))
    assert "paused by dorj: the provider moves" in page


def test_a_waiting_job_that_no_worker_takes_points_to_the_clusters():
    client = signed_in(*EVERYTHING)
    late = job("a", Status.ENQUEUED, run_at="2026-01-01T00:00Z")
    assert "no worker has taken it" in text(client.get(f"{LIST}{late.pk}/change/"))


def test_personal_data_is_masked_everywhere_but_not_the_rest():
    client = signed_in(*EVERYTHING)
    dead = job(
        "a", error="550 <bat@example.mn> from 203.0.113.9 unknown", payload={**job("b").payload, "token": "s3cr3t"}
    )
    for address in (LIST, f"{LIST}{dead.pk}/change/", f"{LIST}export.csv"):
        page = b"".join(client.get(address)).decode()
        for personal in ("bat@example.mn", "203.0.113.9", "Бат", "s3cr3t"):
            assert personal not in page
        assert "550 " in page


def test_the_mail_is_shown_in_both_languages_masked_in_a_frame_that_can_do_nothing():
    client = signed_in(*EVERYTHING)
    page = client.get(
        f"{LIST}{job('a', payload={'email': 'bat@example.mn', 'name': 'Бат', 'signInId': 'x'}).pk}/change/"
    )
    assert "sandbox" in text(page)
    for mail in page.context["mails"]:
        response = client.get(f"{LIST}{page.context['job'].pk}/mail/{mail.language}/html/")
        assert "default-src 'none'" in response["Content-Security-Policy"]
        assert "sandbox" in response["Content-Security-Policy"]
        assert "bat@example.mn" not in text(response)
        assert client.get(f"{LIST}{page.context['job'].pk}/mail/{mail.language}/text/")["Content-Type"].startswith(
            "text/plain"
        )
    assert [mail.language for mail in page.context["mails"]] == ["mn", "en"]


def test_a_type_without_a_mail_and_one_whose_mail_cannot_be_made_still_show_the_job():
    client = signed_in(*EVERYTHING)
    job_types.register(
        job_types.JobType(
            "broken", handler=lambda job: None, presentation=job_types.Presentation(preview=lambda job, language: 1 / 0)
        )
    )
    try:
        for kind in ("broken", "unknown"):
            dead = job(kind, job_type=kind)
            assert client.get(f"{LIST}{dead.pk}/change/").context["mails"] == []
            assert client.get(f"{LIST}{dead.pk}/mail/mn/html/").status_code == 404
    finally:
        job_types.unregister("broken")


def test_dead_letters_are_grouped_by_what_killed_them():
    client = signed_in(*EVERYTHING)
    for number in range(3):
        job(f"a-{number}")
    job("b", fingerprint="SMTPRecipientsRefused 550", dlq_reason="permanent")
    groups = client.get(f"{LIST}dead-letters/").context["groups"]
    assert [(group.fingerprint, group.count) for group in groups] == [
        ("SMTPServerDisconnected", 3),
        ("SMTPRecipientsRefused 550", 1),
    ]
    assert ids(client.get(f"{LIST}?{groups[1].link}")) == ["b"]


def test_the_list_leaves_as_csv_that_no_spreadsheet_runs():
    client = signed_in(*EVERYTHING)
    job("a", error="=cmd|' /C calc'!A0")
    job("b", Status.COMPLETED)
    response = client.get(f"{LIST}export.csv", {"status": "dlq"})
    lines = list(csv.DictReader(io.StringIO(b"".join(response).decode("utf-8-sig"))))
    assert [(line["job_id"], line["error"]) for line in lines] == [("a", "'=cmd|' /C calc'!A0")]


@pytest.mark.parametrize(
    "before",
    ["", " ", "\t", "\n", "\u2003", "\u00a0", "\ufeff", "\u200b", "\u202e", "\u3164", "\u2800", "\ufe0f", "\x01 "],
)
@pytest.mark.parametrize("sign", ["=1+1", "+1", "-1+1", "@SUM(A1)", "＝1+1"])
def test_a_formula_behind_invisible_characters_is_defanged(before, sign):
    assert export.safe_cell(before + sign, False) == f"'{before}{sign}"


@pytest.mark.parametrize("harmless", ["450 4.2.1 = busy", "", "  ", "bat=1", "\u2003text", "Бат -1"])
def test_a_cell_without_a_formula_stays_as_it_is(harmless):
    assert export.safe_cell(harmless, False) == harmless


def test_the_pages_speak_mongolian():
    client = signed_in(*EVERYTHING, language="mn")
    dead = job("a")
    assert "Анхаарах" in text(client.get(LIST))
    assert "Яагаад бүтэлгүйтсэн" in text(client.get(f"{LIST}{dead.pk}/change/"))


@pytest.mark.parametrize("kind", ["poison", "expired", "suppressed"])
def test_a_kind_of_failure_is_never_shown_untranslated(kind):
    client = signed_in(*EVERYTHING, language="mn")
    dead = job("a", error_class=kind, dlq_reason=kind, fingerprint="WorkerLost", error="")
    tried(dead, 1, error_class=kind, fingerprint="WorkerLost", error="")
    for page in (f"{LIST}{dead.pk}/change/", f"{LIST}dead-letters/", f"{LIST}?status=dlq"):
        shown = re.sub(r"<[^>]*>", "", text(client.get(page)))
        assert not re.search(rf"\b{kind}\b", shown), page


def test_the_brokers_own_tables_are_not_in_the_admin():
    assert not [model for model in apps.get_app_config("django_q").get_models() if admin.site.is_registered(model)]
