"""A user with a past, her own browser, and a thief with her password who acts through the pages as she would."""

import re
from datetime import timedelta

import time_machine
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.test import Client
from django.utils import timezone

from accounts.credentials import Credential
from accounts.links import dispute_links
from accounts.notices import account
from accounts.sign_in.event import AccountChange, SignIn
from accounts.user import User
from jobs.core.job import JobLog
from tests.support.people import CHROME, FIREFOX, PASSWORD, browser, sign_in

OWN, EVIL, NEW = "bat@example.mn", "thief@evil.test", "bat@new.test"
NOT_ME = {"answer": "not-me"}
FRESH = "brand-New-horses"


def owner() -> User:
    """A user who confirmed the address long ago."""
    with time_machine.travel(timezone.now() - timedelta(days=30), tick=False):
        user = User.objects.create_user("bat", OWN, PASSWORD)
        EmailAddress.objects.create(user=user, email=OWN, verified=True, primary=True)
        Credential.objects.update(since=timezone.now())
    return user


def own_browser() -> Client:
    """The browser of her first sign-in, which is vouched; it is signed out."""
    client = browser(CHROME)
    with time_machine.travel(timezone.now() - timedelta(days=20), tick=False):
        sign_in(client)
        client.post("/accounts/logout/")
        SignIn.objects.update(at=timezone.now())
    return client


def thief() -> Client:
    """A stranger's browser in which the thief has signed in."""
    client = browser(FIREFOX, "198.51.100.9")
    sign_in(client)
    return client


def prove(client: Client, password: str = PASSWORD) -> None:
    """Give the password again, as changes ask for it."""
    assert client.post("/accounts/reauthenticate/", {"password": password}).status_code == 302


def confirm(client: Client, address: str) -> None:
    """Add an address on the page and follow its confirmation link, as its owner does."""
    assert client.post("/accounts/email/", {"action_add": "", "email": address}).status_code == 302
    row = EmailAddress.objects.get(email=address)
    client.post(f"/accounts/confirm-email/{EmailConfirmationHMAC(row).key}/")
    assert EmailAddress.objects.get(email=address).verified


def make_primary(client: Client, address: str) -> None:
    client.post("/accounts/email/", {"action_primary": "", "email": address})


def remove(client: Client, address: str) -> None:
    client.post("/accounts/email/", {"action_remove": "", "email": address})
    assert not EmailAddress.objects.filter(email=address).exists()


def rob(client: Client) -> None:
    """Put the thief's address in the place of the owner's."""
    prove(client)
    confirm(client, EVIL)
    make_primary(client, EVIL)
    remove(client, OWN)


def press(sign_in_record: SignIn) -> object:
    """Answer "not me" on the page of a sign-in's link."""
    return Client().post(dispute_links.dispute_path(sign_in_record.pk), NOT_ME)


def link_for(change: AccountChange, address: str) -> str:
    """The path of the link that an address got in the email about a change."""
    job = JobLog.objects.get(payload__eventId=str(change.pk), payload__email=address, job_type="security-mail")
    return path_in(job, "not-me")


def path_in(job: JobLog, part: str) -> str:
    """The path of the link below /accounts/`part` in the email of a job."""
    mail = account.build_mail(job.job_id, job.payload)
    found = re.search(rf"http://testserver(/accounts/{part}/\S+)", mail.text)
    return found[1] if found else ""


def way_back(address: str = OWN) -> Client:
    """Follow the newest recovery link, set a new password, and sign in with it in the same browser."""
    job = JobLog.objects.filter(payload__kind="way_back", payload__email=address).latest("pk")
    return recover(path_in(job, "password/reset/key"))


def recover(path: str) -> Client:
    client = browser(CHROME, "203.0.113.9")
    form = client.get(path, follow=True).redirect_chain[-1][0]
    assert client.post(form, {"password1": FRESH, "password2": FRESH}).status_code == 302
    assert sign_in(client, password=FRESH).status_code == 302
    return client
