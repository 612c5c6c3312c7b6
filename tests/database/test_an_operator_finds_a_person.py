"""The search of every admin page, and the page of a person: why does this user get no email?"""

import re
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.utils import timezone

from accounts.sign_in.event import NoticeStatus, SignIn
from accounts.sites.keys import ApiKey
from accounts.sites.site import Site
from accounts.suppression.entries import SuppressedAddress
from accounts.suppression.opt_out import RoutineOptOut
from accounts.user import User
from jobs.cluster.clusters import Cluster
from jobs.core import pauses
from jobs.core.audit import AuditEntry
from jobs.core.job import Status
from tests.support.operators import EVERYTHING, job, signed_in
from tests.support.people import person

pytestmark = pytest.mark.django_db
FIND = "/admin/accounts/user/find/"
RIGHTS = (*EVERYTHING, "accounts.view_user", "accounts.view_signin", "accounts.view_site", "accounts.view_apikey")


@pytest.fixture(autouse=True)
def worker():
    Cluster.objects.create(name="here", pid=1, workers=2)


def bat():
    user = person("bat", first_name="Bat", last_name="Dorj")
    EmailAddress.objects.update_or_create(user=user, email=user.email, defaults={"verified": True, "primary": True})
    return user


def seen(user=None, site=None, key="", **more):
    values = {"method": "password", "language": "mn", "time_zone": "UTC", "email": "bat@example.mn", **more}
    return SignIn.objects.create(user=user, site=site, user_key=key, **values)


def page_of(user):
    return f"/admin/accounts/user/{user.pk}/person/"


def cause(client, path):
    return client.get(path).context["cause"]


@pytest.mark.parametrize("typed", ["bat", "Bat", "dorj", "bat dorj", "BAT@example.mn", "NUMBER"])
def test_a_person_is_found_by_name_address_or_number(typed):
    user = bat()
    person("tuya")
    response = signed_in(*RIGHTS).post(FIND, {"q": typed.replace("NUMBER", str(user.pk))})
    assert (response.status_code, response["Location"]) == (302, page_of(user))
    entry = AuditEntry.objects.get(act="reveal")
    assert (entry.target, entry.detail) == ("search", {"people": 1})


def test_everything_that_has_a_name_is_found():
    client, site = signed_in(*RIGHTS), Site.objects.make("shop", who="tests", name="Mountain Shop")
    ApiKey.objects.make("backend", ["enqueue"], who="tests", site=site)
    stranger = seen(site=site, key="user-17", site_job="shop:login-1")
    mine, dead = job("shop:login-1", Status.COMPLETED, source="shop"), job("lost", fingerprint="Refused 550")
    wanted = {
        "user-17": f"/admin/accounts/user/elsewhere/{stranger.pk}/",
        str(stranger.pk): f"/admin/accounts/user/elsewhere/{stranger.pk}/",
        "login-1": f"/admin/jobs/joblog/{mine.pk}/change/",
        "lost": f"/admin/jobs/joblog/{dead.pk}/change/",
        "mountain shop": f"/admin/accounts/site/{site.pk}/change/",
        "Refused": "/admin/jobs/joblog/?status=dlq&fingerprint=Refused+550",
        "backend": f"/developers/?key={ApiKey.objects.get().pk}#requests",
    }
    assert {typed: client.post(FIND, {"q": typed}).get("Location") for typed in wanted} == wanted


def test_an_operator_finds_only_what_he_may_see():
    bat()
    assert signed_in("jobs.view_joblog").post(FIND, {"q": "bat"}).context["hits"] == []
    assert not AuditEntry.objects.filter(act="reveal").exists()


@pytest.mark.engine
@pytest.mark.parametrize("typed", ["бат", "Бат", "бат дорж"])
def test_a_cyrillic_name_is_found_in_any_case(typed):
    user = person("bat", first_name="Бат", last_name="Дорж")
    assert signed_in(*RIGHTS).post(FIND, {"q": typed})["Location"] == page_of(user)


@pytest.mark.parametrize(
    "typed", ["", "   ", "\x00", "unknown@example.com", "'; DROP TABLE", "x" * 5000, "%", "9" * 40]
)
def test_what_is_not_found_is_answered_with_what_can_be_found(typed):
    response = signed_in(*RIGHTS).post(FIND, {"q": typed})
    assert response.status_code == 200
    assert "The search finds:" in response.content.decode()


def test_the_search_page_opens_empty():
    assert signed_in(*RIGHTS).get(FIND).status_code == 200


def test_each_page_has_the_search_the_main_pages_and_the_health():
    client = signed_in(*RIGHTS)
    shown = client.get("/admin/jobs/joblog/").content.decode()
    assert f'action="{FIND}"' in shown
    assert re.search(r'href="/admin/jobs/joblog/" data-go="j" aria-current="page"', shown)
    assert "All is well" in shown
    pauses.pause("sign_in_notice", who="saraa", why="a test")
    assert "Paused" in client.get("/admin/jobs/joblog/").content.decode()
    Cluster.objects.update(stopped_at=timezone.now())
    assert ">No worker<" in client.get("/admin/jobs/joblog/").content.decode()


def test_the_first_cause_that_holds_is_named_with_the_page_that_removes_it():
    client, user = signed_in(*RIGHTS), bat()
    path = page_of(user)
    assert cause(client, path).why == "No sign-in of this person is known."
    user.notify_sign_ins = False
    user.save()
    assert "turned routine notices off" in cause(client, path).why
    done = seen(user)
    letter = job(done.job_id, Status.DLQ, user_id=str(user.pk), dlq_reason="permanent", job_type="signin_notification")
    assert "refused it permanently" in cause(client, path).why
    assert cause(client, path).link == f"/admin/jobs/joblog/{letter.pk}/change/"
    seen(user, notice=NoticeStatus.LIMITED, at=timezone.now() + timedelta(seconds=1))
    assert "too many in an hour" in cause(client, path).why
    SuppressedAddress.objects.create(
        digest=next(iter(hashes(user.email))),
        masked="b…@example.com",
        why="bounced",
        since=timezone.now(),
        until=timezone.now() + timedelta(days=9),
    )
    assert "an email bounced permanently" in cause(client, path).why
    EmailAddress.objects.update(verified=False)
    assert "is not confirmed" in cause(client, path).why
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert cause(client, path).why == "The account is closed."


def hashes(address):
    from accounts.suppression.entries import hashes_of

    return hashes_of(address)


def test_a_delivered_email_is_said_to_be_delivered():
    client, user = signed_in(*RIGHTS), bat()
    done = seen(user)
    job(done.job_id, Status.COMPLETED, user_id=str(user.pk), processed_at=timezone.now())
    assert "was accepted by the mail server" in cause(client, page_of(user)).why


def test_a_user_of_another_site_has_a_page_whose_path_names_no_user():
    client, site = signed_in(*RIGHTS), Site.objects.make("shop", who="tests", name="Mountain Shop")
    stranger = seen(site=site, key="tuya@example.com", site_job="shop:login-1", email="tuya@example.com")
    path = client.post(FIND, {"q": "tuya@example.com"})["Location"]
    assert path == f"/admin/accounts/user/elsewhere/{stranger.pk}/"
    shown = client.get(path).content.decode()
    assert "tuya@example.com" not in shown
    assert "Mountain Shop" in shown
    RoutineOptOut.objects.create(site=site, user_key="tuya@example.com")
    SignIn.objects.all().update(site_job="shop:gone")
    assert "turned routine notices off" in cause(client, path).why
    site.test_mode = True
    site.save()
    assert "test mode" in cause(client, path).why


def test_a_person_needs_the_permission_and_has_to_exist():
    user, site = bat(), Site.objects.make("shop", who="tests", name="Mountain Shop")
    stranger = seen(site=site, key="7")
    other = f"/admin/accounts/user/elsewhere/{stranger.pk}/"
    little = signed_in("jobs.view_joblog")
    assert [little.get(path).status_code for path in (page_of(user), other)] == [403, 403]
    client = signed_in(*RIGHTS, name="other")
    assert client.get("/admin/accounts/user/99999999/person/").status_code == 404
    assert client.get("/admin/accounts/user/999999999999999999999/person/").status_code == 404
    mine = seen(user)
    assert client.get(f"/admin/accounts/user/elsewhere/{mine.pk}/")["Location"] == page_of(user)
