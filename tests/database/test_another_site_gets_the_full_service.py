"""A sign-in on another site: the verdict, the notice in that site's name, the button, and the opt-out."""

import re
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import timedelta
from email import message_from_bytes, policy
from urllib.parse import urlsplit

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.mail import mime
from accounts.mail.brand import Brand
from accounts.notices import account, digest, sign_in
from accounts.notices.digest import DigestEntry
from accounts.sign_in.event import SignIn
from accounts.sign_in.known_devices import Device
from accounts.sites.keys import ApiKey
from accounts.sites.site import Site, fill_this_site
from accounts.suppression import precheck
from accounts.suppression.opt_out import RoutineOptOut
from jobs.core.job import JobLog, Status
from tests.support.api_client import notification, post

pytestmark = pytest.mark.django_db
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"
SHOP = {
    "name": "Mountain Shop",
    "url": "https://shop.example",
    "secure_url": "https://shop.example/security",
    "support_email": "support@shop.example",
    "sender": "Mountain Shop <notices@shop.example>",
    "colour": "#0055aa",
}


@pytest.fixture
def shop(settings):
    settings.SENDER_DOMAINS = [*settings.SENDER_DOMAINS, "shop.example"]
    settings.DEBUG = False
    site = Site.objects.make("shop", who="tests", **SHOP)
    site.token = ApiKey.objects.make("shop", ["enqueue", "read", "admin"], who="tests", site=site)
    return site


def accepted(shop, **fields):
    response = post(Client(), notification(**fields), shop.token)
    assert response.status_code == 202, response.content
    return response.json()


def last_job():
    return JobLog.objects.order_by("-id")[0]


def mail_of(job):
    """The email of a notice, as the mail server gets it: its bytes, and parsed."""
    content = sign_in.content.write_content(job.payload)
    raw = mime.as_bytes(sign_in.build_mail(job.job_id, job.payload["email"], content))
    return raw, message_from_bytes(raw, policy=policy.default)


def link_in(job, label="not-me"):
    _raw, mail = mail_of(job)
    text = mail.get_body(("plain",)).get_content()
    return urlsplit(re.search(rf"https?://\S+/{label}/\S+", text)[0]).path


def test_the_first_device_is_not_new_and_a_second_one_is(shop):
    assert accepted(shop, deviceId="a")["newDevice"] is False
    assert accepted(shop, deviceId="b", userAgent=FIREFOX, ipAddress="198.51.100.7")["newDevice"] is True
    assert last_job().lane == "alert"
    assert accepted(shop, deviceId="a", ipAddress="192.0.2.9")["newDevice"] is False, "known by its id, wherever it is"
    assert Device.objects.count() == 2


def test_without_a_device_id_families_count_at_a_known_network_only(shop):
    accepted(shop)
    assert accepted(shop, jobId="again")["newDevice"] is False
    assert accepted(shop, ipAddress="198.51.100.7")["newDevice"] is True


def test_a_device_of_one_user_or_site_is_not_that_of_another(shop, settings):
    accepted(shop, deviceId="a")
    accepted(shop, userId="43", deviceId="z")
    assert accepted(shop, userId="43", deviceId="a", ipAddress="198.51.100.7")["newDevice"] is True
    stored = set(Device.objects.values_list("secret", flat=True))
    assert len(stored) == 3
    assert "a" not in stored


def test_a_device_is_known_after_the_secret_key_was_rotated(shop, settings):
    accepted(shop, deviceId="a")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = (
        "a new key of fifty characters or so" * 2,
        [settings.SECRET_KEY],
    )
    assert accepted(shop, deviceId="a", ipAddress="198.51.100.7")["newDevice"] is False


def test_a_long_absence_is_a_signal_and_an_alert(shop):
    accepted(shop, deviceId="a")
    SignIn.objects.update(at=timezone.now() - timedelta(days=91))
    response = accepted(shop, deviceId="a", jobId="later")
    assert response["signals"] == ["long_absence"]
    assert last_job().lane == "alert"


def test_a_repeat_returns_the_first_verdict_and_records_nothing_more(shop):
    accepted(shop, deviceId="a")
    body = notification(deviceId="b", userAgent=FIREFOX, ipAddress="198.51.100.7")
    headers = {"Idempotency-Key": "once"}
    first, second = (post(Client(), body, shop.token, **headers) for _ in range(2))
    assert first.json() == second.json()
    assert first.json()["newDevice"] is True
    assert second["Idempotency-Replayed"] == "true"
    assert SignIn.objects.count() == JobLog.objects.count() == 2


def test_the_email_names_this_site_nowhere_but_in_the_host_of_links_and_message_id(shop, settings):
    accepted(shop, jobId="first", locale="en")
    job = last_job()
    raw, mail = mail_of(job)
    assert mail["From"] == "Mountain Shop <notices@shop.example>"
    assert mail["Reply-To"] == "support@shop.example"
    assert "shop.example" in mail["Feedback-ID"]
    ours = {settings.SITE_NAME, settings.SUPPORT_EMAIL, settings.DEFAULT_FROM_EMAIL, "Yellow", "Шар хуудас"}
    host = urlsplit(settings.SITE_URL).netloc
    for part in (mail["Subject"], *(mail.get_body((kind,)).get_content() for kind in ("plain", "html"))):
        assert "Mountain Shop" in part
        left = re.sub(rf"https?://{re.escape(host)}/accounts/\S+", "", part)
        assert not [word for word in (*ours, host) if word in left]
    headers = {name: value for name, value in mail.items() if name not in ("Message-ID", "List-Unsubscribe")}
    assert not [value for value in headers.values() for word in (*ours, host) if word in value]
    assert "#0055aa" in mail.get_body(("html",)).get_content()
    assert b"Yellow" not in raw


def test_links_and_message_id_are_on_the_sites_own_host(shop):
    Site.objects.filter(pk=shop.pk).update(link_host="notices.shop.example")
    accepted(shop)
    _raw, mail = mail_of(last_job())
    assert mail["Message-ID"].endswith("@notices.shop.example>")
    assert "://notices.shop.example/accounts/not-me/" in mail.get_body(("plain",)).get_content()


def test_a_site_without_support_and_sender_still_has_an_email(settings):
    plain = Site.objects.make("plain", who="tests", name="Plain")
    plain.token = ApiKey.objects.make("plain", ["enqueue"], who="tests", site=plain)
    accepted(plain)
    _raw, mail = mail_of(last_job())
    assert mail["Reply-To"] is None
    assert str(mail["From"]).startswith("Plain <")
    assert "Need help" not in mail.get_body(("plain",)).get_content()


def test_only_the_answer_not_me_disputes(shop):
    accepted(shop, locale="en")
    page = link_in(last_job())
    for answer in ({}, {"answer": "me"}, {"answer": ["me", "not-me"]}, {"answer": ""}):
        response = Client().post(page, answer)
        assert response.status_code == 200
    assert not SignIn.objects.get().disputed_at
    content = Client().get(page).content.decode()
    assert "Mountain Shop" in content
    assert "Yellow" not in content
    assert "/brand/0055aa.css" in content


def test_a_dispute_forgets_the_devices_and_emails_the_sites_support_once(shop):
    accepted(shop, deviceId="a", locale="en")
    accepted(shop, deviceId="b", locale="en", userAgent=FIREFOX, ipAddress="198.51.100.7")
    page = link_in(last_job())
    for _ in range(2):
        assert Client().post(page, {"answer": "not-me"}).status_code == 302
    disputed = SignIn.objects.get(disputed_at__isnull=False)
    assert not disputed.dispute_pending
    assert not Device.objects.exists()
    mails = JobLog.objects.filter(job_type="site-dispute")
    assert [(job.payload["email"], job.source) for job in mails] == [("support@shop.example", "shop")]
    content = Client().get(page).content.decode()
    assert "Mountain Shop has been notified" in content
    assert 'href="https://shop.example/security"' in content
    assert accepted(shop, deviceId="b", userAgent=FIREFOX, ipAddress="198.51.100.7", jobId="x")["newDevice"] is True


def test_the_link_of_another_user_or_a_forged_one_does_nothing(shop):
    accepted(shop)
    page = link_in(last_job())
    assert Client().post(page[:-8] + "xxxxxxx/", {"answer": "not-me"}).status_code == 404
    SignIn.objects.update(email="other@example.mn")
    assert Client().post(page, {"answer": "not-me"}).status_code == 404
    assert not SignIn.objects.exclude(disputed_at=None).exists()


def test_an_old_link_says_so_in_the_sites_name(shop):
    accepted(shop, locale="en")
    page = link_in(last_job())
    with time_machine.travel(timezone.now() + timedelta(days=8), tick=False):
        response = Client().post(page, {"answer": "not-me"})
    assert response.status_code == 410
    assert "Mountain Shop" in response.content.decode()
    assert "Yellow" not in response.content.decode()
    assert not SignIn.objects.get().disputed_at


def test_routine_notices_are_turned_off_with_one_post_and_alerts_are_not(shop):
    accepted(shop, deviceId="a")
    routine = last_job()
    _raw, mail = mail_of(routine)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    page = urlsplit(mail["List-Unsubscribe"].strip("<>")).path
    assert Client().get(page).status_code == 200
    assert not RoutineOptOut.objects.exists(), "a robot that opens the link changes nothing"
    assert Client().post(page, {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert precheck.check_notices([routine])[routine.pk].error == "the user turned routine notices off"
    accepted(shop, deviceId="b", userAgent=FIREFOX, ipAddress="198.51.100.7")
    alert = last_job()
    assert not precheck.check_notices([alert])
    _raw, mail = mail_of(alert)
    assert mail["List-Unsubscribe"] is None
    assert Client().post(page, {"notices": "on"}).status_code == 200
    assert not precheck.check_notices([routine])


def test_alerts_above_the_limit_are_in_one_summary_of_the_site(shop):
    accepted(shop, deviceId="0", locale="en")
    responses = [
        accepted(shop, deviceId=str(number), ipAddress=f"198.51.{number}.7", jobId=f"j{number}", locale="en")
        for number in range(1, 14)
    ]
    assert [response["status"] for response in responses] == ["enqueued"] * 10 + ["discarded"] * 3
    assert all(response["newDevice"] for response in responses)
    assert DigestEntry.objects.count() == 3
    digest.enqueue_digests()
    [job] = JobLog.objects.filter(job_type="signin-summary")
    assert job.source == "shop"
    mail = account.build_mail(job.job_id, job.payload)
    assert mail.brand.name == "Mountain Shop"
    assert "Yellow" not in mail.subject + mail.text + mail.html
    assert "/accounts/not-me/" in mail.text


def test_a_limit_of_the_sites_own_counts(shop):
    Site.objects.filter(pk=shop.pk).update(per_hour=2)
    statuses = [post(Client(), notification(jobId=f"j{n}"), shop.token).status_code for n in range(4)]
    assert statuses == [202, 202, 429, 429]
    assert SignIn.objects.count() == 2, "what is refused is not recorded"


@pytest.mark.django_db(transaction=True)
def test_concurrent_posts_of_one_sign_in_are_one(shop):
    def send(_):
        try:
            return post(Client(), notification(deviceId="a", jobId="one"), shop.token).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        statuses = sorted(threads.map(send, range(16)))
    assert statuses == [202] + [409] * 15
    assert SignIn.objects.count() == Device.objects.count() == 1


def test_in_test_mode_everything_happens_except_the_sending(shop, monkeypatch):
    Site.objects.filter(pk=shop.pk).update(test_mode=True)
    monkeypatch.setattr(sign_in.smtp, "send_mail", lambda *_: pytest.fail("an email was sent"))
    accepted(shop)
    sign_in.deliver(last_job())
    assert SignIn.objects.exists()


def test_a_brand_in_a_payload_is_read_whatever_it_holds():
    for junk in (None, 7, [], {}, {"name": 7}, {"name": "A", "url": 7, "own": True, "x": "y"}):
        brand = Brand.of_payload({"site": junk})
        assert brand.own is (not isinstance(junk, dict) or not isinstance(junk.get("name"), str))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Shop\u202egro.live"),
        ("name", "https://evil.example"),
        ("name", "Shop\nBcc: x"),
        ("url", "javascript:alert(1)"),
        ("url", "http://shop.example"),
        ("url", "https://user@shop.example"),
        ("secure_url", "https://shop.example/ä"),
        ("support_email", "x@y\nBcc: z@example.mn"),
        ("sender", "Shop <notices@another.example>"),
        ("colour", "red; } body { display: none"),
        ("colour", "#05a"),
        ("language", "xx"),
        ("time_zone", "Mars/Olympus"),
        ("link_host", "https://x.example/"),
        ("slug", "signal"),
        ("slug", "a/b"),
    ],
)
def test_what_is_wrong_in_a_site_is_refused_with_a_reason(settings, field, value):
    settings.SENDER_DOMAINS, settings.DEBUG = ["shop.example"], False
    with pytest.raises(ValidationError) as refused:
        Site.objects.make(**{"slug": "shop", "who": "tests", **SHOP, field: value})
    assert refused.value.messages
    assert not Site.objects.filter(slug="shop").exists()


def test_this_site_is_the_first_row_and_follows_the_settings(settings):
    settings.SITE_NAME = "Another Name"
    fill_this_site()
    row = Site.objects.get(slug="signal")
    assert row.name == "Another Name"
    assert row.brand == Brand.of_this_site()
    with pytest.raises(ValidationError):
        ApiKey.objects.make("own", ["enqueue"], who="tests", site=row)


def test_a_users_data_of_one_site_is_erased_by_its_key(shop):
    accepted(shop, deviceId="a")
    accepted(shop, userId="43", deviceId="b")
    page = urlsplit(mail_of(JobLog.objects.filter(user_id="42").get())[1]["List-Unsubscribe"].strip("<>")).path
    Client().post(page)
    response = Client().delete("/api/users/42", headers={"Authorization": f"Bearer {shop.token}"})
    assert response.status_code == 204
    assert not SignIn.objects.filter(user_key="42").exists()
    assert not Device.objects.filter(user_key="42").exists()
    assert not RoutineOptOut.objects.exists()
    job = JobLog.objects.get(user_id__in=["42", ""], source="shop", job_id__contains=":", pk__lt=last_job().pk)
    assert job.status == Status.DISCARDED
    assert not job.payload
    assert SignIn.objects.filter(user_key="43").exists()


def test_a_batch_has_a_result_for_each_item_in_order(shop):
    items = [notification(jobId="a"), notification(jobId="a"), {"userId": 7}, notification(jobId="b", userId="43")]
    response = post(Client(), {"items": items}, shop.token, "/api/jobs/signin-notification/batch")
    assert response.status_code == 200
    results = response.json()["items"]
    assert [result["status"] for result in results] == [202, 409, 400, 202]
    assert results[0]["body"]["jobId"] == "a"
    assert {error["field"] for error in results[2]["body"]["errors"]} >= {"userId", "email"}
    for wrong in ({"items": []}, {"items": [{}] * 101}, {}, {"items": 7}, []):
        assert post(Client(), wrong, shop.token, "/api/jobs/signin-notification/batch").status_code == 400


def test_a_site_lists_its_own_jobs_page_by_page(shop):
    other = ApiKey.objects.make("other", ["enqueue", "read"], who="tests")
    for number in range(3):
        accepted(shop, jobId=f"j{number}", userId=str(number))
    assert post(Client(), notification(), other).status_code == 202
    headers = {"Authorization": f"Bearer {shop.token}"}
    first = Client().get("/api/jobs?limit=2", headers=headers).json()
    assert [item["jobId"] for item in first["items"]] == ["j2", "j1"]
    second = Client().get("/api/jobs", {"limit": 2, "cursor": first["nextCursor"]}, headers=headers).json()
    assert [item["jobId"] for item in second["items"]] == ["j0"]
    assert second["nextCursor"] is None
    assert Client().get("/api/jobs?status=dlq", headers=headers).json()["items"] == []
    for wrong in ("status=x", "cursor=x", "limit=0x"):
        assert Client().get(f"/api/jobs?{wrong}", headers=headers).status_code == 400
    dead = Client().get("/api/admin/dlq", {"cursor": first["nextCursor"]}, headers=headers)
    assert dead.status_code == 400, "a cursor of another list"


@pytest.mark.django_db(transaction=True)
def test_a_read_waits_for_the_end_and_only_one_of_a_process_does(shop):
    accepted(shop, jobId="a")
    headers = {"Authorization": f"Bearer {shop.token}"}

    def read(_):
        try:
            return Client().get("/api/jobs/a?wait=20", headers=headers).json()["status"]
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        reads = [threads.submit(read, number) for number in range(2)]
        early = wait(reads, return_when=FIRST_COMPLETED).done.pop()
        assert early.result() == "enqueued"
        JobLog.objects.get().cancel("a test")
        assert {one.result() for one in reads} == {"enqueued", "discarded"}
    for wrong in ("21", "-1", "x"):
        assert Client().get(f"/api/jobs/a?wait={wrong}", headers=headers).status_code == 400


def test_alerts_of_many_users_to_one_address_above_its_limit_are_in_summaries(shop, settings):
    """A client, or a thief of its key, gives each user a past with an address of its own, then the victim's address."""
    cap = settings.SIGNIN_EMAILS_PER_ADDRESS
    for number in range(cap + 5):
        accepted(shop, userId=f"{number}", email=f"{number}@example.mn", jobId=f"a{number}")
    alerts = [
        accepted(shop, userId=f"{number}", deviceId="new", ipAddress="198.51.100.7", jobId=f"b{number}")["status"]
        for number in range(cap + 5)
    ]
    assert alerts == ["enqueued"] * cap + ["discarded"] * 5
    assert DigestEntry.objects.filter(address="bat@example.mn").count() == 5
    digest.enqueue_digests()
    assert JobLog.objects.filter(job_type="signin-summary").count() == 1, "one summary an hour to an address"
    assert DigestEntry.objects.filter(due_at__gt=timezone.now() + timedelta(minutes=50)).count() == 4, "and none lost"
