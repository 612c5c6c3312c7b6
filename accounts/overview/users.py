"""The users of jobs by name, for the operators' pages."""

from django.urls import reverse

from accounts.people.person import Person
from accounts.user import User
from jobs.admin.panels.names import KnownUser, UserKey, mask_name
from jobs.core.job import THIS_SITE

COLUMNS = ("pk", "username", "first_name", "last_name")
VIEW = "accounts.view_user"
LONGEST_NUMBER = 18  # digits of the longest key


def find(keys: set[UserKey]) -> dict[UserKey, KnownUser]:
    """Return this site's users among these, by masked name. One query."""
    numbers = {int(key.user_id): key for key in keys if key.source == THIS_SITE and _is_number(key.user_id)}
    if not numbers:
        return {}
    users = User.objects.filter(pk__in=numbers).only(*COLUMNS)
    return {numbers[user.pk]: _known(user) for user in users}


def _known(user: User) -> KnownUser:
    page = reverse("admin:accounts_person", args=[user.pk])
    return KnownUser(mask_name(Person(user=user).name), page, VIEW)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER
