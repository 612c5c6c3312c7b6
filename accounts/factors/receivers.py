"""Receivers: the history of factors, the proof of a session, the email about a used recovery code."""

from typing import Any

import structlog
from allauth.mfa import signals
from allauth.mfa.models import Authenticator
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.http import HttpRequest

from accounts import credentials
from accounts.changes.record import What, record_change
from accounts.factors import authenticators, enrolment
from accounts.user import User

log = structlog.get_logger("accounts")


def connect() -> None:
    """Connect the receivers, and let disputes hold and restore factors; called once, from `AccountsConfig.ready`."""
    post_save.connect(authenticators.row_saved, sender=Authenticator, dispatch_uid="accounts.factor_saved")
    post_delete.connect(authenticators.row_deleted, sender=Authenticator, dispatch_uid="accounts.factor_deleted")
    post_save.connect(enrolment.note_proof, sender=Authenticator, dispatch_uid="accounts.factor_proved")
    signals.authenticator_used.connect(factor_used, dispatch_uid="accounts.factor_used")
    for kind in credentials.KIND_OF_TYPE.values():
        credentials.register_factor(kind, hold=authenticators.hold, restore=authenticators.restore)


def factor_used(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    """Record and email that a recovery code was used; log any error and let the user in."""
    if authenticator.type != Authenticator.Type.RECOVERY_CODES:
        return
    try:
        with transaction.atomic():
            record_change(user, What.RECOVERY_CODE, request)
    except Exception:
        log.exception("the use of a recovery code could not be emailed", user_id=user.pk)
