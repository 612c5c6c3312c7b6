"""A key is rotated: the new one works beside the old one, which ends on a date; a site that uses it is warned."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.notices import account
from accounts.sites import key_ends
from accounts.sites.keys import ApiKey
from accounts.sites.site import Site
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog
from tests.support import api_client
from tests.support.operators import signed_in

pytestmark = pytest.mark.django_db
MAY_ROTATE = ("accounts.view_apikey", "accounts.add_apikey", "accounts.revoke_apikey")
FORM = {"days": "7", "expires_at": ""}


def works(client, token: str) -> bool:
    return client.get("/api/jobs", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def rotate(key: ApiKey, **more) -> str:
    return key.rotate(who="tests", ends_at=timezone.now() + timedelta(days=7), **more)


def old_key(*scopes: str, **more) -> ApiKey:
    return ApiKey.objects.find(api_client.key(*(scopes or ("enqueue", "read")), **more))


def page_of(key: ApiKey) -> str:
    return f"/admin/accounts/apikey/{key.pk}/rotate/"


def test_both_keys_work_until_the_old_one_ends(client):
    first = api_client.key("read")
    second = rotate(ApiKey.objects.get())
    assert works(client, first)
    assert works(client, second)
    old, new = ApiKey.objects.order_by("pk")
    assert (old.replaced_by, new.site, new.name, new.scopes) == (new, old.site, old.name, old.scopes)
    assert (new.expires_at, new.replaced_by) == (None, None)
    ApiKey.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert not works(client, first)
    assert works(client, second)


def test_the_audit_names_both_keys_and_the_end():
    key = old_key()
    rotate(key)
    new = ApiKey.objects.exclude(pk=key.pk).get()
    entry = AuditEntry.objects.get(act="rotate_key")
    assert (entry.who, entry.target, entry.detail["new"]) == ("tests", str(key), f"nk_{new.prefix}_…")
    assert entry.detail["ends"].startswith(f"{timezone.now() + timedelta(days=7):%Y-%m-%d}")


def test_a_rotation_never_makes_a_key_live_longer():
    end = timezone.now() + timedelta(days=2)
    key = old_key(expires_at=end)
    rotate(key)
    key.refresh_from_db()
    assert key.expires_at == end


@pytest.mark.parametrize("why", ["rotated", "revoked", "expired"])
def test_a_key_that_is_over_or_was_rotated_is_not_rotated(why):
    key = old_key()
    if why == "rotated":
        rotate(key)
    elif why == "revoked":
        key.revoke(who="tests")
    else:
        ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    before = ApiKey.objects.count()
    with pytest.raises(ValidationError):
        rotate(key)
    assert ApiKey.objects.count() == before


def test_a_key_whose_successor_was_revoked_can_be_rotated_again():
    key = old_key()
    rotate(key)
    ApiKey.objects.exclude(pk=key.pk).get().revoke(who="tests")
    rotate(key)
    assert AuditEntry.objects.filter(act="rotate_key").count() == 2


def test_the_admin_rotates_a_key_and_shows_the_new_one_once_with_a_first_call():
    key, client = old_key(), signed_in(*MAY_ROTATE)
    assert page_of(key) in client.get(f"/admin/accounts/apikey/{key.pk}/change/").content.decode()
    assert client.get(page_of(key)).status_code == 200
    page = client.post(page_of(key), FORM)
    token = page.context["key"].token
    text = page.content.decode()
    assert text.count(token) == 2, "alone, and in the call to paste"
    assert f"KEY={token}\ncurl http" in text
    assert "no-store" in page["Cache-Control"]
    key.refresh_from_db()
    assert f"{timezone.localtime(key.expires_at):%Y-%m-%d %H:%M}" in text
    assert token not in client.get(f"/admin/accounts/apikey/{key.replaced_by_id}/change/").content.decode()
    assert [entry.who for entry in AuditEntry.objects.filter(act="rotate_key")] == ["saraa"]
    assert "rotated before" in client.post(page_of(key), FORM).content.decode()
    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize("missing", MAY_ROTATE[1:])
def test_the_admin_rotates_for_those_alone_who_may_create_and_revoke(missing):
    key = old_key()
    client = signed_in(*(permission for permission in MAY_ROTATE if permission != missing))
    assert client.post(page_of(key), FORM).status_code == 403
    assert page_of(key) not in client.get(f"/admin/accounts/apikey/{key.pk}/change/").content.decode()


def test_an_operator_rotates_no_key_that_may_more_than_the_operator():
    key = old_key("read", "admin")
    assert signed_in(*MAY_ROTATE).post(page_of(key), FORM).status_code == 403
    every = ("view_joblog", "replay_joblog", "discard_joblog")
    assert signed_in(*MAY_ROTATE, *every, name="boss").post(page_of(key), FORM).status_code == 200


@pytest.mark.parametrize("form", [{}, {"days": "x"}, {"days": "3650"}, {"days": "7", "expires_at": "2020-01-01T12:00"}])
def test_a_wrong_form_rotates_nothing_and_says_why(form):
    key, client = old_key(), signed_in(*MAY_ROTATE)
    page = client.post(page_of(key), form)
    assert page.status_code == 200
    assert "errorlist" in page.content.decode()
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("pk", [0, 10**6, 10**30])
def test_the_page_of_a_key_that_does_not_exist_is_a_404(pk):
    assert signed_in(*MAY_ROTATE).get(f"/admin/accounts/apikey/{pk}/rotate/").status_code == 404


def test_the_new_key_expires_after_as_long_a_time_by_default():
    key = old_key(expires_at=timezone.now() + timedelta(days=30))
    form = signed_in(*MAY_ROTATE).get(page_of(key)).context["form"]
    assert abs(form["expires_at"].initial - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)


def test_the_command_rotates_by_start_or_by_name(client):
    key, out, err = old_key(), StringIO(), StringIO()
    call_command("rotate_api_key", f"nk_{key.prefix}", overlap_days=1, expires_days=90, stdout=out, stderr=err)
    assert works(client, out.getvalue().strip())
    assert "valid until" in err.getvalue()
    out.truncate(0)
    call_command("rotate_api_key", "shop", stdout=out, stderr=err)
    last = ApiKey.objects.latest("pk")
    assert last.expires_at > timezone.now() + timedelta(days=89), "as long as the one before"
    for name, days in [("shop2", 7), (f"nk_{key.prefix}", 7), ("shop", 91), ("shop", -1)]:
        with pytest.raises(CommandError):
            call_command("rotate_api_key", name, overlap_days=days, stdout=out, stderr=err)
    old_key()
    with pytest.raises(CommandError, match="several"):
        call_command("rotate_api_key", "shop", stdout=out, stderr=err)


@pytest.fixture
def ending():
    """A key that ends tomorrow and was used an hour ago."""
    site = Site.objects.make("shop", who="tests", name="Mountain Shop", support_email="help@shop.example")
    key = old_key(site=site)
    rotate(key)
    now = timezone.now()
    ApiKey.objects.filter(pk=key.pk).update(expires_at=now + timedelta(days=1), last_used_at=now - timedelta(hours=1))
    key.refresh_from_db()
    return key


def warnings():
    key_ends.warn_sites()
    return list(JobLog.objects.filter(payload__kind="key_ends"))


def test_the_site_is_emailed_once_when_a_key_in_use_ends_soon(ending):
    [job] = warnings()
    assert len(warnings()) == 1
    assert (job.payload["email"], job.source) == ("help@shop.example", "shop")
    mail = account.build_mail(job.job_id, {**job.payload, "locale": "en"})
    assert f"nk_{ending.prefix}_…" in mail.text
    assert f"nk_{ending.replaced_by.prefix}_…" in mail.text
    assert "Mountain Shop" in mail.subject
    assert "/developers/" in mail.html


@pytest.mark.parametrize(
    "values",
    [
        {"last_used_at": None},
        {"last_used_at": timezone.now() - timedelta(days=2)},
        {"expires_at": timezone.now() + timedelta(days=3)},
        {"expires_at": None},
        {"revoked_at": timezone.now()},
    ],
    ids=["never used", "used no more", "ends later", "does not end", "revoked"],
)
def test_no_other_key_is_warned_of(ending, values):
    ApiKey.objects.filter(pk=ending.pk).update(**values)
    assert warnings() == []


def test_a_site_without_a_support_address_is_not_tried_again_and_again(ending):
    Site.objects.update(support_email="")
    assert warnings() == []
    assert not ApiKey.objects.ending().exists()


def test_a_site_that_was_warned_with_a_new_key_is_warned_again_when_that_is_revoked(ending):
    """A thief with an operator's session rotates a key; the dispute revokes what the thief got, and not the end."""
    [first] = warnings()
    ApiKey.objects.exclude(pk=ending.pk).get().revoke(who="dispute")
    assert len(warnings()) == len(warnings()) == 2
    rotate(ApiKey.objects.get(pk=ending.pk))
    sent = sorted(warnings(), key=lambda job: job.pk)
    assert [bool(job.payload["newKey"]) for job in sent] == [True, False, True]
    assert sent[0] == first
