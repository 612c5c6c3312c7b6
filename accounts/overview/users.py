"""The users of jobs by name, for the operators' pages."""

from django.urls import reverse

from accounts.people.person import Person
from accounts.user import User
from jobs.admin.panels.names import KnownUser, UserKey, mask_name
from jobs.core.job import THIS_SITE
from jobs.core.sql.keys import parse_key

COLUMNS = ("pk", "username", "first_name", "last_name")
VIEW = "accounts.view_user"


def find(keys: set[UserKey]) -> dict[UserKey, KnownUser]:
    """Return this site's users among these, by masked name. One query."""
    ours = [key for key in keys if key.source == THIS_SITE]
    numbers = {number: key for key in ours if (number := parse_key(key.user_id)) is not None}
    if not numbers:
        return {}
    users = User.objects.filter(pk__in=numbers).only(*COLUMNS)
    return {numbers[user.pk]: _known(user) for user in users}


def _known(user: User) -> KnownUser:
    page = reverse("admin:accounts_person", args=[user.pk])
    return KnownUser(mask_name(Person(user=user).name), page, VIEW)
