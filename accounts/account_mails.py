"""The mails about an account that are no notice of a sign-in, as jobs: none is lost, none is waited for.

A job says which mail and to whom; a link with a token in it is made only when the mail is sent, so that no token is
ever stored. Texts are `templates/account/email/<kind>_{subject,message}.{txt,html}`.

    confirm_address   is this address yours? (sign-up, new address)
    password_reset    the link somebody asked for on the site
    changed           a password, an address or a GitHub account was changed, added or removed
    way_back          after "this wasn't me": how to get in again
    dispute_alert     to the operators: somebody pressed "this wasn't me"
"""

import uuid
from typing import Any

from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from accounts import emails, messages, ownership
from accounts.addresses import deliverable
from accounts.models import User
from accounts.untrusted import defused, plain
from jobs import queue
from jobs.models import JobLog

JOB_TYPE = "account-mail"
URGENT_TYPE = "dispute-mail"  # no hourly limit: nobody can use it up for somebody else
PER_HOUR = 10


def enqueue(kind: str, address: str, person: User | None, **more: str) -> None:
    """Asks for a mail to `address`; the person it is about, if any, chooses its language.

    Over the hourly limit nothing is sent: whoever asks ten times for a link has nine to use.
    """
    try:
        _enqueue(JOB_TYPE, kind, address, person, str(uuid.uuid4()), more)
    except queue.RateLimited:
        return


def enqueue_urgent(kind: str, address: str, person: User | None, job_id: str, **more: str) -> None:
    """The same for the mails of a dispute: without a limit, and once for each `job_id`."""
    try:
        _enqueue(URGENT_TYPE, kind, address, person, job_id, more)
    except queue.Duplicate:
        return


def _enqueue(job_type: str, kind: str, address: str, person: User | None, job_id: str, more: dict[str, str]) -> None:
    user_id = str(person.pk) if person else ""
    language = (person and person.language) or translation.get_language() or settings.LANGUAGE_CODE
    payload = {"kind": kind, "email": address, "userId": user_id, "locale": language, **more}
    queue.enqueue(job_type, payload, job_id=job_id, user_id=user_id)


def deliver(job: JobLog) -> None:
    """The handler of both types: renders the mail and sends it. Raises `jobs.errors`.

    Nothing is sent about an account that is gone, or an address that is confirmed or gone.
    """
    mail = build(job.job_id, job.payload)
    if mail is not None:
        emails.send(mail)


def build(job_id: str, payload: dict[str, Any]) -> messages.Mail | None:
    """The mail that a job asks for; None when there is nothing to tell any more."""
    person = User.objects.filter(pk=payload["userId"]).first() if payload["userId"] else None
    url = LINKS[payload["kind"]](person, payload)
    if url is None:
        return None
    to = deliverable(payload["email"])
    return messages.Mail(job_id, to, payload["locale"], *render(payload, person, url))


def render(payload: dict[str, Any], person: User | None, url: str) -> tuple[str, str, str]:
    """Subject, text and HTML in the language of the payload; `url` is where the mail leads."""
    context = {
        "SITE_NAME": settings.SITE_NAME,
        "SUPPORT_EMAIL": settings.SUPPORT_EMAIL,
        "LANGUAGE_CODE": payload["locale"],
        "name": defused(plain(person.get_username(), 150)) if person else "",
        "url": url,
        **payload,
    }
    with translation.override(payload["locale"]):
        subject, text, html = (
            render_to_string(f"account/email/{payload['kind']}_{part}", context)
            for part in ("subject.txt", "message.txt", "message.html")
        )
    return " ".join(subject.split()), text, html


def _site(name: str, **kwargs: str) -> str:
    return settings.SITE_URL.rstrip("/") + reverse(name, kwargs=kwargs or None)


def _reset_link(person: User | None, _payload: dict[str, Any]) -> str | None:
    if person is None:
        return None
    key = ownership.TokenGenerator().make_token(person)
    return _site("account_reset_password_from_key", uidb36=user_pk_to_url_str(person), key=key)


def _confirm_link(person: User | None, payload: dict[str, Any]) -> str | None:
    address = EmailAddress.objects.filter(user=person, email__iexact=payload["email"], verified=False).first()
    return _site("account_confirm_email", key=EmailConfirmationHMAC(address).key) if person and address else None


def _activity_link(person: User | None, _payload: dict[str, Any]) -> str | None:
    return _site("activity") if person else None


def _admin_link(_person: User | None, payload: dict[str, Any]) -> str:
    return settings.SITE_URL.rstrip("/") + reverse("admin:accounts_signin_change", args=[payload["signInId"]])


LINKS = {
    "confirm_address": _confirm_link,
    "password_reset": _reset_link,
    "changed": _activity_link,
    "way_back": _reset_link,
    "dispute_alert": _admin_link,
}
