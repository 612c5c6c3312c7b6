"""The profile in the history: name, language and notices before each change, so that a dispute restores them."""

from collections.abc import Iterable
from typing import Any

from django.db.models.functions import Now

from accounts.credentials.history import Credential, circumstances
from accounts.user import User

EMPTY_PROFILE = {"notify_sign_ins": True, "first_name": "", "last_name": "", "language": ""}
PROFILE_FIELDS = tuple(EMPTY_PROFILE)


def read_profile(user: User) -> dict[str, Any]:
    """Return the profile as it is stored now."""
    return User.objects.filter(pk=user.pk).values(*PROFILE_FIELDS).get()


def profile_changed(user: User, before: dict[str, Any]) -> list[str]:
    """Keep the values of `before` (`read_profile`) that changed, and return the names of these fields."""
    now = read_profile(user)
    old = {name: value for name, value in before.items() if now[name] != value}
    if not old:
        return []
    made = circumstances(user)
    Credential.objects.create(
        user=user,
        kind=Credential.Kind.PROFILE,
        state=Credential.State.LEAVING,
        sealed=old,
        removed_at=Now(),
        removed_in=made.sign_in,
        backing=made.backing,
    )
    return [name for name in PROFILE_FIELDS if name in old]


def restore_profile(user: User, rows: Iterable[Credential]) -> None:
    """Restore each field to its value before the first of these changes. rows: the first change first."""
    rows = list(rows)
    values: dict[str, Any] = {}
    for row in rows:
        values = {**row.sealed, **values}
    if values:
        User.objects.filter(pk=user.pk).update(**values)
        user.refresh_from_db(fields=list(values))
    Credential.objects.filter(pk__in=[row.pk for row in rows]).end_power()


def language_before(user: User) -> str:
    """Return the language that the user had chosen before the unproved changes of the last days; "" for none.

    Emails about changes are in it, so a thief cannot make them unreadable.
    """
    unproved = Credential.objects.filter(user=user, kind=Credential.Kind.PROFILE, backing=Credential.Backing.NONE)
    first = unproved.leaving().filter(sealed__has_key="language").order_by("removed_at").first()
    return str(first.sealed["language"]) if first else user.language
