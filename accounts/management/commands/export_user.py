"""`manage.py export_user USER`: all data that the site stores about a user, as JSON."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q

from accounts import privacy
from accounts.user import User
from jobs.core.sql.keys import parse_key


class Command(BaseCommand):
    help = "Prints all data that the site stores about a user, as JSON, for a request of access to it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="a user name, a user id or an email address")
        parser.add_argument(
            "--other-sites", action="store_true", help="also the jobs of other sites to the user's confirmed addresses"
        )

    def handle(self, *, user: str, other_sites: bool, **_: Any) -> None:
        whose = Q(username=user) | Q(email__iexact=user) | Q(pk=parse_key(user))
        found = list(User.objects.filter(whose)[:2])
        if not found:
            raise CommandError("there is no such user")
        if len(found) > 1:
            raise CommandError("several users match: give the user name or the user id")
        self.stdout.write(privacy.export_json(found[0], other_sites=other_sites))
