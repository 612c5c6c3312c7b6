"""The support of another site gets ten emails about disputes in an hour, and the others in one digest an hour."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts.notices import account, digest, site_disputes
from accounts.notices.digest import DigestEntry
from accounts.sign_in.event import SignIn
from accounts.sites import disputes, erasure
from accounts.sites.site import Site
from jobs.core.job import JobLog, Status
from tests.support.tables import renamed

pytestmark = pytest.mark.django_db
SUPPORT = "help@shop.example"


def make_site(slug: str = "shop", support: str = SUPPORT) -> Site:
    return Site.objects.make(slug, who="tests", name=f"The {slug}", support_email=support, language="en")


def dispute(site: Site, *users: str) -> None:
    for user in users:
        sign_in = SignIn(site=site, user_key=user, email=f"{user}@example.mn", method="password", language="en")
        sign_in.browser, sign_in.system, sign_in.time_zone = "Chrome", "Windows", "Asia/Ulaanbaatar"
        sign_in.at = timezone.now()
        sign_in.save(force_insert=True)
        assert disputes.dispute(sign_in)


def names(first: int, last: int) -> list[str]:
    return [f"user{number}" for number in range(first, last + 1)]


def emails(site: Site) -> list[tuple[str, list[str]]]:
    """Which emails were enqueued for a site, with the users that each is about."""
    rows = JobLog.objects.filter(source=site.slug, payload__kind__startswith="site_dispute").order_by("pk")
    return [
        (row.payload["kind"], [event["account"] for event in row.payload.get("events", [row.payload])]) for row in rows
    ]


def test_ten_are_emails_of_their_own_and_the_others_one_digest():
    shop = make_site()
    dispute(shop, *names(1, 13))
    digest.enqueue_digests()
    assert emails(shop) == [
        *(("site_dispute", [name]) for name in names(1, 10)),
        ("site_dispute_digest", names(11, 13)),
    ]
    assert not DigestEntry.objects.exists()
    assert not SignIn.objects.filter(dispute_pending=True).exists()


def test_the_next_digest_comes_an_hour_later_and_loses_none():
    shop = make_site()
    dispute(shop, *names(1, 11))
    digest.enqueue_digests()
    dispute(shop, *names(12, 40))
    digest.enqueue_digests()
    digest.enqueue_digests()
    assert len(emails(shop)) == 11
    JobLog.objects.update(created_at=timezone.now() - timedelta(hours=1, seconds=1))
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        DigestEntry.objects.update(due_at=timezone.now() - timedelta(hours=2))
        digest.enqueue_digests()
    assert emails(shop)[11:] == [("site_dispute_digest", names(12, 40))]


def test_single_emails_never_keep_the_digest_waiting():
    shop = make_site()
    dispute(shop, *names(1, 12))
    JobLog.objects.order_by("pk").filter(payload__kind="site_dispute").update(
        created_at=timezone.now() - timedelta(hours=1, seconds=1)
    )
    dispute(shop, *names(13, 22))
    digest.enqueue_digests()
    assert ("site_dispute_digest", names(11, 12)) in emails(shop)


def test_sites_and_addresses_are_counted_apart():
    shop, other = make_site(), make_site("other")
    dispute(shop, *names(1, 12))
    dispute(other, "user1")
    assert emails(other) == [("site_dispute", ["user1"])]
    digest.enqueue_digests()
    assert emails(shop)[-1] == ("site_dispute_digest", names(11, 12))


@pytest.mark.parametrize("language", ["mn", "en"])
def test_the_digest_is_in_the_sites_name_and_language_and_lists_each_user(language):
    shop = make_site()
    Site.objects.update(language=language)
    shop.refresh_from_db()
    dispute(shop, *names(1, 12))
    digest.enqueue_digests()
    job = JobLog.objects.get(job_type=site_disputes.SUMMARY_JOB)
    mail = account.build_mail(job.job_id, job.payload)
    assert mail.to == SUPPORT
    assert "The shop" in mail.subject
    for part in (mail.text, mail.html):
        assert all(name in part for name in names(11, 12))
    assert ("Here are the others" in mail.text) == (language == "en")


def test_a_broken_queue_leaves_the_disputes_pending_and_each_is_emailed_once_afterwards():
    shop = make_site()
    with renamed("job_logs"):
        dispute(shop, *names(1, 12))
    assert SignIn.objects.filter(dispute_pending=True).count() == 12
    for _ in range(2):
        disputes.notify_pending()
        digest.enqueue_digests()
    users = [user for _, mail in emails(shop) for user in mail]
    assert sorted(users) == sorted(names(1, 12))


def test_erasing_a_user_empties_the_digests_that_name_it():
    shop = make_site()
    dispute(shop, *names(1, 11))
    digest.enqueue_digests()
    dispute(shop, "user12", "user13")
    erasure.erase_user(shop, "user12", who="tests")
    assert list(DigestEntry.objects.values_list("details__account", flat=True)) == ["user13"]
    erasure.erase_user(shop, "user11", who="tests")
    summary = JobLog.objects.get(job_type=site_disputes.SUMMARY_JOB)
    assert (summary.payload, summary.status) == ({}, Status.DISCARDED)
