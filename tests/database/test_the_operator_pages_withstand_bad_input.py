"""No hand-made address, form or stored text breaks an operators' page."""

import pytest

from jobs.core.job import JobLog, Status
from tests.support.operators import EVERYTHING, LIST, job, signed_in, tried

pytestmark = pytest.mark.django_db
HTML = "<script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    "query",
    [
        "status=nope",
        "reason=%27%20OR%201=1",
        "within=century",
        "attempts=-1",
        "attempts=99999999999999999999",
        "after=yesterday",
        "before=9999-99-99T00:00",
        "cursor=abc",
        "cursor=99999999999999999999999",
        "q=%00",
        "fingerprint=%00",
        "type=" + "x" * 5000,
    ],
)
def test_a_hand_made_filter_shows_nothing_and_says_so(query):
    client = signed_in(*EVERYTHING)
    job("a")
    response = client.get(f"{LIST}?{query}")
    assert response.status_code == 200
    assert response.context["rows"] == []
    assert "is not valid" in response.content.decode()
    assert client.get(f"{LIST}export.csv?{query}").status_code == 400


@pytest.mark.parametrize(
    "query", ["user=%00", "p=9", "e=1", "_facets=1", "user=" + "x" * 5000, "after=2026-01-01T00:00&user=1&user=2"]
)
def test_a_parameter_that_means_nothing_is_harmless(query):
    assert signed_in(*EVERYTHING).get(f"{LIST}?{query}").status_code == 200


@pytest.mark.parametrize("key", ["0", "-1", "abc", "99999999999999999999999", "1%00", "٣"])
def test_a_job_that_is_not_there_is_a_404(key):
    client = signed_in(*EVERYTHING)
    assert client.get(f"{LIST}{key}/change/").status_code == 404
    assert client.post(f"{LIST}{key}/replay/").status_code == 404


def test_ten_thousand_ids_in_an_action_are_refused_and_nothing_happens():
    client = signed_in(*EVERYTHING)
    dead = job("a")
    assert client.post(LIST, {"action": "discard", "_selected_action": range(10_000)}).status_code == 400
    many = [dead.pk, *range(10**6, 10**6 + 600)]
    response = client.post(LIST, {"action": "discard", "_selected_action": many}, follow=True)
    assert "At most 500 jobs in one step" in response.content.decode()
    assert JobLog.objects.get().status == Status.DLQ


@pytest.mark.parametrize("ticked", [[], ["abc"], ["-1"], ["9" * 40], ["\x00"], ["1.5"], ["٣"]])
@pytest.mark.parametrize("action", ["replay", "nope", ""])
def test_ids_and_actions_that_are_none_do_nothing(ticked, action):
    client = signed_in(*EVERYTHING)
    job("a")
    assert client.post(LIST, {"action": action, "_selected_action": ticked}).status_code == 302
    assert JobLog.objects.get().status == Status.DLQ


def test_a_megabyte_of_payload_error_and_trace_is_cut_in_the_list_and_on_the_page():
    client = signed_in(*EVERYTHING)
    big = "a" * 1_000_000
    dead = job("a", payload={"email": big, "list": [big] * 3}, error=big, stack_trace=big)
    tried(dead, 1, error=big, trace=big)
    for address in (LIST, f"{LIST}{dead.pk}/change/", f"{LIST}export.csv"):
        response = client.get(address)
        assert response.status_code == 200
        assert len(b"".join(response)) < 150_000


def test_html_in_every_field_is_text():
    client = signed_in(*EVERYTHING)
    fields = ("user_id", "source", "error", "fingerprint", "error_class", "worker", "job_type")
    dead = job(
        "a", **{name: HTML[:16] if name == "error_class" else HTML[:64] for name in fields}, payload={HTML: HTML}
    )
    tried(dead, 1, error=HTML, trace=HTML, worker=HTML, fingerprint=HTML)
    for address in (
        "",
        f"{dead.pk}/change/",
        "dead-letters/",
        "?fingerprint=" + HTML,
        "?q=" + HTML,
        "replay/?status=dlq&source=" + HTML[:64],
    ):
        page = client.get(LIST + address).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page


@pytest.mark.parametrize("payload", [[], "text", 5, {"email": None}, {"name": ["x"]}, [[[[{"a": {"b": "c@d.mn"}}]]]]])
def test_a_payload_of_any_shape_is_shown(payload):
    client = signed_in(*EVERYTHING)
    assert client.get(f"{LIST}{job('a', payload=payload).pk}/change/").status_code == 200


@pytest.mark.parametrize(
    "sought", ["", " ", "\x00", "@", "x" * 10_000, "a@b'; DROP TABLE job_logs; --", "%", "Бат@example.mn"]
)
def test_a_search_for_anything_answers(sought):
    response = signed_in(*EVERYTHING).post(f"{LIST}search/", {"q": sought}, follow=True)
    assert response.status_code == 200
