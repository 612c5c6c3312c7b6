"""The receiver of Django's user_logged_in."""

import logging
from dataclasses import replace
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.signals import user_logged_in
from django.db import router, transaction
from django.http import HttpRequest

from notifier_client import SignIn
from notifier_client.django.conf import notifier, read_function
from notifier_client.django.middleware import device_of, stamp_session
from notifier_client.django.sign_ins import describe

log = logging.getLogger("notifier_client")


def connect() -> None:
    """Connect the receiver."""
    user_logged_in.connect(signed_in, dispatch_uid="notifier_client")


def signed_in(sender: object, request: HttpRequest | None, user: AbstractBaseUser, **_: Any) -> None:
    """Report a sign-in after the commit. Never raises, and waits for no network."""
    if request is None or not hasattr(request, "session"):
        return
    try:
        stamp_session(request, user)
        _report(request, user)
    except Exception:
        log.exception("A sign-in was not reported to Notifier")


def _report(request: HttpRequest, user: AbstractBaseUser) -> None:
    client = notifier()
    if client is None:
        return
    sign_in = describe(request, user, device_of(request))
    prepare = read_function("NOTIFIER_PREPARE")
    if sign_in and prepare:
        sign_in = _prepared(prepare(sign_in, request, user), sign_in)
    if sign_in is None:
        return
    final = sign_in
    database = router.db_for_write(type(user))
    transaction.on_commit(lambda: client.notify_in_background(final), using=database, robust=True)


def _prepared(changed: SignIn | None, sign_in: SignIn) -> SignIn | None:
    """Return the project's version of a sign-in. It keeps the user id: a dispute ends the sessions of that user."""
    return changed and replace(changed, user_id=sign_in.user_id)
