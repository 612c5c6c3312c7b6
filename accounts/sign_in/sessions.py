"""The session engine: Django's, with the user and the sign-in in columns of their own (SESSION_ENGINE).

So one indexed DELETE ends one session, or all sessions of a user. Django never restores a deleted session. The columns
are filled from the session's data, so they survive a change of its key. Its use does not prolong a session: it ends
SESSION_COOKIE_AGE after the last check of its user.
"""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils import timezone

SESSION_SIGN_IN = "sign_in"  # the session's key that holds the id of its sign-in


class Session(AbstractBaseSession):
    """A browser session with its user and sign-in, so that other browsers can end it."""

    user_id = models.BigIntegerField(null=True, db_index=True)
    sign_in = models.UUIDField(null=True, db_index=True)

    class Meta(AbstractBaseSession.Meta):
        db_table = "account_sessions"

    @classmethod
    def get_session_store_class(cls) -> type[SessionBase]:
        return SessionStore


class SessionStore(DatabaseStore):
    """The session store that writes the columns of `Session`."""

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        """Return the row of this session; both columns are empty before a sign-in."""
        row = cast(Session, super().create_model_instance(data))
        user_id, sign_in = data.get(SESSION_KEY), data.get(SESSION_SIGN_IN)
        row.user_id = int(user_id) if user_id else None
        row.sign_in = uuid.UUID(sign_in) if sign_in else None
        row.expire_date = min(row.expire_date, _latest_end(data))
        return row


def _latest_end(data: dict[str, Any]) -> datetime:
    """Return when a session ends at the latest, used or not: SESSION_COOKIE_AGE after the last check of its user."""
    checks = [record["at"] for record in data.get(AUTHENTICATION_METHODS_SESSION_KEY, [])]
    last = datetime.fromtimestamp(max(checks), UTC) if checks else timezone.now()
    return last + timedelta(seconds=settings.SESSION_COOKIE_AGE)


def end_other_sessions(user_id: int, kept: str | None) -> None:
    """Delete every session of a user except the one with the key `kept`."""
    Session.objects.filter(user_id=user_id).exclude(pk=kept or "").delete()


def end_sessions(**which: Any) -> int:
    """Delete the sessions that match (`user_id=`, `sign_in=`) and return their number."""
    return Session.objects.filter(**which).delete()[0]
