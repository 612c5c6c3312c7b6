"""Receivers of Django's signals. The one of `user_logged_in` never raises, so it cannot break a sign-in."""

import time
from collections.abc import Callable
from typing import Any

import structlog
from allauth.account import signals as allauth
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db.models.signals import post_delete, post_save, pre_delete
from django.dispatch import Signal
from django.http import HttpRequest

from accounts import credentials
from accounts.changes import fresh, recovery
from accounts.changes import record as changes
from accounts.credentials import github
from accounts.rights import lost_factor
from accounts.sign_in import closing, ratelimit, record, sessions
from accounts.sites import keys
from accounts.suppression import own_address
from accounts.user import User
from jobs.core import counters
from jobs.core.job import THIS_SITE
from jobs.maintenance import retention

log = structlog.get_logger("accounts")

CHANGES: dict[Signal, Callable[..., None]] = {
    allauth.password_changed: changes.password_changed,
    allauth.password_set: changes.password_changed,
    allauth.password_reset: recovery.password_reset,
    allauth.email_confirmed: changes.address_confirmed,
    allauth.email_changed: changes.primary_changed,
    allauth.email_removed: changes.address_removed,
    allauth.authentication_step_completed: fresh.step_completed,
    credentials.factor_changed: changes.factor_changed,
}


def connect() -> None:
    """Connect the receivers; called once, from `AccountsConfig.ready`."""
    user_logged_in.connect(signed_in, dispatch_uid="accounts.signed_in")
    for signal, receiver in CHANGES.items():
        signal.connect(receiver, dispatch_uid=f"accounts.{receiver.__name__}.{id(signal)}")
    user_logged_in.connect(ratelimit.signed_in, dispatch_uid="accounts.signed_in_request")
    user_logged_in.connect(lost_factor.signed_in, dispatch_uid="accounts.factor_used")
    user_login_failed.connect(ratelimit.password_failed, dispatch_uid="accounts.password_failed")
    post_save.connect(credentials.address_saved, sender=EmailAddress, dispatch_uid="accounts.address_saved")
    post_delete.connect(credentials.address_deleted, sender=EmailAddress, dispatch_uid="accounts.address_deleted")
    post_save.connect(github.account_saved, sender=SocialAccount, dispatch_uid="accounts.github_saved")
    post_delete.connect(github.account_deleted, sender=SocialAccount, dispatch_uid="accounts.github_deleted")
    closing.account_closed.connect(changes.account_reported, dispatch_uid="accounts.account_reported")
    closing.account_closed.connect(keys.revoke_made_since, dispatch_uid="accounts.keys_revoked")
    pre_delete.connect(user_deleting, sender="accounts.User", dispatch_uid="accounts.user_deleting")
    post_delete.connect(user_deleted, sender="accounts.User", dispatch_uid="accounts.user_deleted")


def signed_in(sender: Any, user: User, request: HttpRequest | None = None, **_: Any) -> None:
    """Record the sign-in and enqueue its notice; log any error and let the user in."""
    started = time.monotonic()
    try:
        record.record_sign_in(user, request)
    except Exception:
        log.exception("sign-in could not be recorded", user_id=user.pk)
    counters.note(*counters.timed("sign_in", time.monotonic() - started))


def user_deleting(instance: User, **_: Any) -> None:
    """Delete the suppression entries of the account's addresses, while these are still known."""
    own_address.delete_entries(instance)


def user_deleted(instance: User, **_: Any) -> None:
    """End the sessions of the deleted account, discard its waiting jobs and erase their data."""
    sessions.end_sessions(user_id=instance.pk)
    retention.erase_jobs(retention.jobs_of_user(str(instance.pk), THIS_SITE))
