"""The receivers. The one of `user_logged_in` cannot break a sign-in and waits for nothing."""

import time
from typing import Any

import structlog
from django.http import HttpRequest

from accounts import own_address, sessions, sign_ins
from accounts.models import User
from jobs import counters, retention

log = structlog.get_logger("accounts")


def signed_in(sender: Any, user: User, request: HttpRequest | None = None, **_: Any) -> None:
    """Records the sign-in and enqueues its notice; logs, and lets the person in, whatever goes wrong."""
    started = time.monotonic()
    try:
        sign_ins.record(user, request)
    except Exception:
        log.exception("sign-in could not be recorded", user_id=user.pk)
    counters.note(*counters.timed("sign_in", time.monotonic() - started))


def person_goes(instance: User, **_: Any) -> None:
    """An account is about to be deleted: what was told of its addresses goes, while they are known."""
    own_address.forget(instance)


def person_gone(instance: User, **_: Any) -> None:
    """An account was deleted: its sessions end, mails about it that still wait are given up, its jobs are blanked."""
    sessions.end(user_id=instance.pk)
    retention.erase_user(str(instance.pk), source="signal")
