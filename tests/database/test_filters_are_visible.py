"""What narrows a list is visible and can be removed; what is not found says where else to look; users have names."""

import re
from urllib.parse import parse_qsl

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.user import User
from jobs.core.job import Status
from tests.support.operators import EVERYTHING, LIST, job, signed_in

pytestmark = pytest.mark.django_db
DEAD = f"{LIST}dead-letters/"


def text(response):
    return response.content.decode()


def ids(response):
    return [row.job.job_id for row in response.context["rows"]]


def chips(response):
    return {chip.text: chip.without for chip in response.context["chips"]}


def test_each_filter_is_a_chip_with_a_link_that_removes_it_alone():
    client = signed_in(*EVERYTHING)
    job("a", source="shop")
    query = "status=dlq&type=signin-notification&reason=exhausted&source=shop&after=2026-01-02T03:04&order=oldest"
    page = client.get(f"{LIST}?{query}")
    assert ids(page) == ["a"]
    assert list(chips(page)) == [
        "Type: signin-notification",
        "Reason: every attempt failed",
        "Source: shop",
        "Enqueued after: 2026-01-02 03:04",
        "Order: oldest first",
    ]
    for without in chips(page).values():
        assert set(parse_qsl(without)) < set(parse_qsl(query))
        assert len(parse_qsl(without)) == len(parse_qsl(query)) - 1
    assert text(page).count('class="chip"') == 5
    assert 'href="?status=dlq">Clear all' in text(page)


def test_the_date_of_a_chip_has_the_format_of_the_language():
    page = signed_in(*EVERYTHING, language="mn").get(f"{LIST}?status=all&after=2026-01-02T03:04")
    assert "2026.01.02 03:04" in next(iter(chips(page)))


def test_without_a_filter_there_is_no_chip():
    assert chips(signed_in(*EVERYTHING).get(f"{LIST}?status=dlq")) == {}


def test_the_filters_are_posted_and_leave_a_short_address():
    client = signed_in(*EVERYTHING)
    posted = {"status": "dlq", "q": "", "type": "", "reason": "permanent", "after": "", "order": "", "user": ["7", "8"]}
    assert client.post(f"{LIST}search/", posted)["Location"] == f"{LIST}?status=dlq&user=7&user=8&reason=permanent"
    assert client.post(f"{LIST}search/", {"status": "", "q": ""})["Location"] == LIST


def test_an_address_among_the_filters_becomes_a_user_and_keeps_the_others():
    client = signed_in(*EVERYTHING)
    job("a", user_id="42")
    found = client.post(f"{LIST}search/", {"status": "dlq", "reason": "exhausted", "q": "bat@example.mn"})
    assert found["Location"] == f"{LIST}?status=dlq&user=42&reason=exhausted"
    lost = client.post(f"{LIST}search/", {"status": "dlq", "q": "x@example.mn"})
    assert lost["Location"] == f"{LIST}?status=dlq"


def test_there_is_one_search_box_on_the_list():
    page = text(signed_in(*EVERYTHING).get(LIST))
    assert page.count('role="search"') == 1
    assert re.findall(r'<input type="search" name="q" id="(\w+)"', page) == ["find"]


def test_no_match_says_what_was_searched_and_what_else_to_try():
    client = signed_in(*EVERYTHING)
    job("a", Status.COMPLETED, source="shop")
    page = client.get(f"{LIST}?status=dlq&source=shop&lane=default")
    shown = text(page)
    assert "No job matches." in shown
    assert "Searched: the jobs of “Dead letters”; Lane: default; Source: shop." in shown
    assert 'href="?status=completed&amp;lane=default&amp;source=shop">The same filters in “Completed”: 1<' in shown
    assert "Without “Source: shop”" in shown
    assert "The search at the top" in shown
    nothing = text(client.get(f"{LIST}?q=unknown"))
    assert "Searched: the jobs of “All”; Job id, user or address: unknown." in nothing
    assert "found only as a whole" in nothing


def test_users_are_shown_by_their_masked_name():
    little = signed_in("view_joblog", name="little")
    client = signed_in(*EVERYTHING, "accounts.view_user")
    user = User.objects.create_user("bat", first_name="Бат", last_name="Дорж")
    job("here", user_id=str(user.pk))
    job("there", source="shop", user_id="17", payload={"name": "Anna Smith"})
    job("nameless", source="shop", user_id="18", payload={})
    job("address", source="shop", user_id="tuya@example.mn", payload={})
    page = client.get(LIST)
    assert {row.job.job_id: row.user.name for row in page.context["rows"]} == {
        "here": "Б*** Д***",
        "there": "A*** S***",
        "nameless": "18",
        "address": "t***@example.mn",
    }
    for hidden in ("Бат", "Дорж", "Anna", "Smith", "tuya@"):
        assert hidden not in text(page)
    assert f'<a href="/admin/accounts/user/{user.pk}/person/">Б*** Д***</a>' in text(page)
    assert "/person/" not in text(little.get(LIST))
    assert list(chips(client.get(f"{LIST}?user={user.pk}"))) == ["user: Б*** Д***"]
    assert "Б*** Д***" in text(client.get(f"{LIST}{page.context['rows'][-1].job.pk}/change/"))


def test_the_names_of_a_page_cost_one_query():
    client = signed_in(*EVERYTHING)
    for number in range(30):
        user = User.objects.create_user(f"user{number}", first_name="Бат")
        job(f"job-{number}", user_id=str(user.pk))
    with CaptureQueriesContext(connection) as captured:
        client.get(LIST)
    assert sum("first_name" in query["sql"] for query in captured if "accounts_user" in query["sql"]) <= 2, "and hers"


@pytest.mark.parametrize("user_id", ["9" * 30, "-1", "٣", "1e3", " 7", "0"])
def test_a_user_id_of_another_form_is_shown_unchanged(user_id):
    client = signed_in(*EVERYTHING)
    job("a", user_id=user_id, payload={})
    [row] = client.get(LIST).context["rows"]
    assert row.user.name == user_id


def test_dead_letters_are_filtered_and_their_buttons_keep_the_filter():
    client = signed_in(*EVERYTHING)
    job("a", source="shop")
    job("b", source="shop")
    job("c", fingerprint="Refused 550")
    page = client.get(f"{DEAD}?source=shop&within=24h")
    assert [(group.fingerprint, group.count) for group in page.context["groups"]] == [("SMTPServerDisconnected", 2)]
    assert list(chips(page)) == ["Source: shop", "Enqueued within: 24 hours"]
    assert "2 dead letters" in text(page)
    [group] = page.context["groups"]
    confirmed = client.get(f"{LIST}replay/?{group.link}")
    assert confirmed.context["matched"] == 2
    assert ("Enqueued within", "24 hours") in confirmed.context["chosen"]
    none = text(client.get(f"{DEAD}?source=elsewhere"))
    assert "No dead letter matches." in none
    assert "Without “Source: elsewhere”" in none
    assert client.get(f"{DEAD}?reason=nope").context["groups"] == []


@pytest.mark.parametrize("address", [LIST, DEAD, "/admin/"])
def test_the_live_refresh_has_a_button_that_needs_a_script(address):
    client = signed_in(*EVERYTHING)
    job("a")
    page = text(client.get(address))
    assert re.search(r'<button type="button"[^>]* id="live-toggle"[^>]* hidden>', page)
    assert "data-refresh=" in page
