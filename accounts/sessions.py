"""The session engine: Django's, with the person and the sign-in in columns of their own (SESSION_ENGINE).

So one session, or all of a person's, is ended by one indexed DELETE, and stays ended: Django never brings a
deleted session back to life. The columns are filled from the session's own data and survive a change of its key.
"""

import uuid
from typing import Any, cast

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

from accounts.models import Session

SIGN_IN = "sign_in"  # the session's entry that names the sign-in it began with


class SessionStore(DatabaseStore):
    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        """The row of this session; both columns are empty before somebody signs in."""
        row = cast(Session, super().create_model_instance(data))
        user_id, sign_in = data.get(SESSION_KEY), data.get(SIGN_IN)
        row.user_id = int(user_id) if user_id else None
        row.sign_in = uuid.UUID(sign_in) if sign_in else None
        return row


def end(**which: Any) -> int:
    """Ends the sessions that match (`user_id=`, `sign_in=`); how many there were."""
    return Session.objects.filter(**which).delete()[0]
