"""Each page of the operators says what is so: the job of a notice, the filter, the buttons, the counts, the worker."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import translation

from accounts.sign_in.event import NoticeStatus, SignIn
from accounts.user import User
from jobs.admin.parts import paging
from jobs.cluster import clusters
from jobs.core import leases
from jobs.core.job import JobLog, Status
from jobs.stats import minutes
from tests.support.operators import EVERYTHING, LIST, job, signed_in

pytestmark = pytest.mark.django_db
SIGN_INS = "/admin/accounts/signin/"
NO_WORKER = "No cluster is alive"


def text(response):
    return response.content.decode()


def sign_in(notice=NoticeStatus.QUEUED):
    user, _ = User.objects.get_or_create(username="bat")
    return SignIn.objects.create(user=user, method="password", language="mn", time_zone="UTC", notice=notice)


def counts(response):
    return {tab["name"]: tab["count"] for tab in response.context["tabs"] if tab["count"] not in ("", "0")}


@pytest.fixture
def operator():
    clusters.record_heartbeat("host:0", in_flight=0, restarts=0, workers=2, version="1")
    clusters.mark_stopped("host:0")  # a worker has run here, or the pages would speak of a fresh installation
    return signed_in(*EVERYTHING, "accounts.view_signin")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (Status.COMPLETED, "completed"),
        (Status.DLQ, "dead letter: every attempt failed"),
        (Status.FAILED, "failed, will be tried again"),
        (Status.ENQUEUED, "waiting"),
    ],
)
def test_a_sign_in_shows_the_status_of_its_job_and_leads_to_it(operator, status, said):
    event = sign_in()
    fields = {"dlq_reason": "exhausted"} if status == Status.DLQ else {"dlq_reason": ""}
    its_job = job(event.job_id, status, **fields)
    for address in (SIGN_INS, f"{SIGN_INS}{event.pk}/change/"):
        page = text(operator.get(address))
        assert f'<a href="{LIST}{its_job.pk}/change/">{said}</a>' in page
        assert "on its way" not in page.partition("changelist-filter")[0]


def test_a_sign_in_without_a_job_says_why(operator):
    sign_in(NoticeStatus.OPTED_OUT)
    assert "not sent: turned off" in text(operator.get(SIGN_INS))
    SignIn.objects.update(notice=NoticeStatus.QUEUED)
    assert "its job has been deleted" in text(operator.get(SIGN_INS))


def test_sign_ins_take_the_same_queries_for_one_and_for_many(operator, django_assert_max_num_queries):
    for _ in range(30):
        job(sign_in().job_id, Status.COMPLETED)
    with django_assert_max_num_queries(11):
        operator.get(SIGN_INS)


def test_a_search_by_address_shows_its_filter_and_counts_within_it(operator):
    for number in range(3):
        job(f"his-{number}", Status.DLQ if number else Status.COMPLETED, user_id="42")
        job(f"hers-{number}", user_id="43", payload={"email": "saraa@example.mn"})
    found = operator.post(f"{LIST}search/", {"q": "bat@example.mn"}, follow=True)
    page = text(found)
    assert "Found by the address b***@example.mn." in page
    assert 'class="chip" href="?"' in page, "the filter is shown, with a link that removes it"
    assert "user: 42" in page, "no account has this number"
    assert counts(found) == {"wrong": "2", "all": "3", "dlq": "2", "completed": "1"}
    assert counts(operator.get(LIST)) == {"wrong": "5", "all": "6", "dlq": "5", "completed": "1"}


def test_each_filter_of_several_is_removed_alone(operator):
    job("a", user_id="42")
    shown = operator.get(LIST, {"user": ["42", "43"], "q": "a", "status": "dlq"})
    assert [chip.without for chip in shown.context["chips"]] == [
        "status=dlq&q=a&user=43",
        "status=dlq&q=a&user=42",
        "status=dlq&user=42&user=43",
    ]
    assert 'href="?status=dlq&amp;user=42&amp;user=43"' in text(shown)


def test_counts_follow_every_filter_and_are_left_out_where_they_would_take_too_long(operator, monkeypatch):
    job("a", source="shop")
    job("b")
    assert counts(operator.get(LIST, {"source": "shop"})) == {"wrong": "1", "all": "1", "dlq": "1"}

    def too_broad(rows):
        raise paging.TooBroad

    monkeypatch.setattr(paging, "count_capped", too_broad)
    shown = operator.get(LIST, {"source": "shop"})
    assert counts(shown) == {}
    assert [row.job.job_id for row in shown.context["rows"]] == ["a"]


@pytest.mark.parametrize(
    ("tab", "buttons", "ticks"),
    [
        ("dlq", {"replay", "discard"}, 1),
        ("enqueued", {"discard"}, 1),
        ("failed", {"discard"}, 1),
        ("processing", set(), 0),
        ("completed", set(), 0),
        ("discarded", set(), 0),
        ("all", {"replay", "discard"}, 3),
        ("wrong", {"replay", "discard"}, 2),
    ],
)
def test_buttons_and_ticks_are_where_they_apply(operator, tab, buttons, ticks):
    for status in Status.values:
        job(status, status)
    page = text(operator.get(LIST, {"status": tab}))
    assert {name for name in ("replay", "discard") if f'name="action" value="{name}"' in page} == buttons
    assert page.count('name="_selected_action"') == ticks


def test_an_operator_who_may_only_replay_gets_no_tick_at_what_can_only_be_discarded():
    replays = signed_in("jobs.view_joblog", "jobs.replay_joblog")
    job("dead")
    job("waiting", Status.ENQUEUED)
    page = text(replays.get(LIST, {"status": "all"}))
    assert page.count('name="_selected_action"') == 1
    assert 'value="discard"' not in page
    assert 'name="action"' not in text(replays.get(LIST, {"status": "enqueued"}))


@pytest.mark.parametrize(("action", "status"), [("replay", Status.COMPLETED), ("discard", Status.PROCESSING)])
def test_the_outcome_is_said_in_both_numbers(operator, action, status):
    keys = [job(f"{status}-{number}", status).pk for number in range(2)]
    for left, said in ((1, "1 job was"), (2, "2 jobs were")):
        answer = operator.post(LIST, {"action": action, "_selected_action": keys[:left]}, follow=True)
        assert [f"0 of {left}; {said}" in str(message) for message in answer.context["messages"]] == [True]


def test_a_fresh_site_with_a_worker_says_nothing_alarming(operator):
    clusters.record_heartbeat("host:1", in_flight=0, restarts=0, workers=2, version="1")
    page = text(operator.get("/admin/"))
    assert "Nothing is wrong." in page
    assert "warning" not in page
    assert 'class="bad"' not in page
    job("first", Status.COMPLETED, processed_at=Now())
    assert "not up to date" not in text(operator.get("/admin/")), "its minute is not over"


def test_figures_that_are_not_counted_for_minutes_are_reported(operator):
    clusters.record_heartbeat("host:1", in_flight=0, restarts=0, workers=2, version="1")
    job("old", Status.COMPLETED)
    JobLog.objects.update(processed_at=Now() - timedelta(minutes=4))
    assert "not up to date" in text(operator.get("/admin/")), "no count was ever begun"
    leases.acquire(minutes.LEASE, 0)
    assert "not up to date" not in text(operator.get("/admin/"))
    leases.LeaderLease.objects.update(acquired_at=Now() - timedelta(minutes=10))
    assert "not up to date" in text(operator.get("/admin/"))
    JobLog.objects.update(processed_at=Now())
    assert "not up to date" not in text(operator.get("/admin/")), "after a quiet time the first job is not late"


PAGES = [
    LIST,
    f"{LIST}dead-letters/",
    "/admin/jobs/jobtypestate/",
    "/admin/jobs/cluster/",
    "/admin/jobs/auditentry/",
    "/admin/jobs/bulkreplay/",
    SIGN_INS,
]


@pytest.mark.parametrize("address", PAGES)
def test_every_page_says_when_no_worker_is_alive(operator, address):
    page = text(operator.get(address))
    assert page.count(NO_WORKER) == 1
    with translation.override("mn"):
        assert NO_WORKER not in text(operator.get(address, headers={"accept-language": "mn"}))
    clusters.record_heartbeat("host:1", in_flight=0, restarts=0, workers=2, version="1")
    assert NO_WORKER not in text(operator.get(address))


def test_the_overview_says_it_once(operator):
    assert text(operator.get("/admin/")).count(NO_WORKER) == 1


def test_the_page_of_a_job_says_it_too(operator):
    waiting = job("a", Status.ENQUEUED)
    assert NO_WORKER in text(operator.get(f"{LIST}{waiting.pk}/change/"))


def test_a_visitor_who_is_not_signed_in_learns_nothing_of_workers(client):
    assert NO_WORKER not in text(client.get("/admin/login/"))


def test_the_page_of_a_job_names_its_operator_in_the_bar(operator):
    dead = job("dead", user_id="42")
    assert "<strong>saraa</strong>" in text(operator.get(f"{LIST}{dead.pk}/change/"))
