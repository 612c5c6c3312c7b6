"""Looking, replaying, discarding, revealing and pausing are permissions apart, and nothing is edited by hand."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client

from jobs.core import pauses
from jobs.core.job import JobLog, Status
from jobs.queue import bulk_replay
from jobs.queue.criteria import JobCriteria
from tests.support.operators import EVERYTHING, LIST, job, signed_in

pytestmark = pytest.mark.django_db
OURS = [model for model in apps.get_app_config("jobs").get_models() if admin.site.is_registered(model)]


def test_a_stranger_is_sent_to_the_sign_in_page():
    for address in (LIST, f"{LIST}{job('a').pk}/change/", f"{LIST}export.csv", f"{LIST}dead-letters/"):
        assert Client().get(address).url.startswith("/admin/login/")


def test_staff_without_permission_see_no_job():
    client = signed_in()
    dead = job("a")
    for address in (
        "",
        "export.csv",
        "dead-letters/",
        f"{dead.pk}/change/",
        f"{dead.pk}/mail/mn/html/",
        "replay/?status=dlq",
    ):
        assert client.get(LIST + address).status_code == 403
    assert client.post(f"{LIST}search/", {"q": "a"}).status_code == 403
    assert "joblog" not in client.get("/admin/").content.decode()


@pytest.mark.parametrize(
    ("missing", "address", "data"),
    [
        ("replay_joblog", LIST, {"action": "replay"}),
        ("discard_joblog", LIST, {"action": "discard"}),
        ("replay_joblog", LIST + "{pk}/replay/", {}),
        ("discard_joblog", LIST + "{pk}/discard/", {}),
        ("reveal_joblog", LIST + "{pk}/reveal/", {}),
        ("replay_joblog", LIST + "{pk}/reschedule/", {"run_at": "2030-01-01T09:00"}),
        ("replay_joblog", LIST + "replay/?status=dlq", {}),
        ("discard_joblog", LIST + "discard/?status=dlq", {}),
        ("pause_jobtypestate", "/admin/jobs/jobtypestate/pause/", {"job_type": "signin-notification", "why": "x"}),
        ("replay_joblog", "/admin/jobs/bulkreplay/{batch}/cancel/", {}),
    ],
)
def test_without_its_permission_an_act_is_refused_and_nothing_happens(missing, address, data):
    client = signed_in(*(set(EVERYTHING) - {missing}))
    dead = job("a")
    batch = bulk_replay.start(JobCriteria(), who="dorj")
    response = client.post(address.format(pk=dead.pk, batch=batch.pk), {**data, "_selected_action": dead.pk})
    assert response.status_code == 403
    batch.refresh_from_db()
    assert (JobLog.objects.get().status, batch.open, pauses.suspended().exists()) == (Status.DLQ, True, False)


def test_buttons_that_would_be_refused_are_not_shown():
    client = signed_in("view_joblog")
    dead = job("a")
    for address in ("", f"{dead.pk}/change/", "dead-letters/"):
        page = client.get(LIST + address).content.decode()
        assert "data-sure" not in page
        assert "_selected_action" not in page
        assert "discard/" not in page


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_nothing_is_added_changed_or_deleted_by_hand_not_even_by_a_superuser(model, admin_client, rf, admin_user):
    request = rf.get("/")
    request.user = admin_user
    page = admin.site.get_model_admin(model)
    assert page.has_view_permission(request)
    assert not (page.has_add_permission(request))
    assert not (page.has_change_permission(request))
    assert not (page.has_delete_permission(request))
    assert not (page.get_actions(request))
    root = f"/admin/jobs/{model._meta.model_name}/"
    for address in ("add/", "1/delete/"):
        assert admin_client.post(root + address, {}).status_code in (403, 404, 405)


def test_a_request_without_the_csrf_token_is_refused():
    dead = job("a")
    signed = signed_in(*EVERYTHING)
    client = Client(enforce_csrf_checks=True)
    client.cookies = signed.cookies
    assert client.post(f"{LIST}{dead.pk}/replay/").status_code == 403
