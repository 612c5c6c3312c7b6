"""`manage.py create_api_key NAME --scope enqueue --scope read`: create a key and print it, once."""

import getpass
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.sites.keys import ApiKey, Scope

MAX_EXPIRY_DAYS = 3650


class Command(BaseCommand):
    help = "Creates a key of the HTTP API and prints it. It is shown only once: the database stores its hash."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the name of the site, for example shop: the source of its jobs")
        parser.add_argument("--scope", action="append", required=True, choices=Scope.values, help="may be repeated")
        parser.add_argument("--expires-days", type=int, help="days until it expires (default: never)")

    def handle(self, *, name: str, scope: list[str], expires_days: int | None, **_: Any) -> None:
        if expires_days is not None and not 1 <= expires_days <= MAX_EXPIRY_DAYS:
            raise CommandError(f"--expires-days must be from 1 to {MAX_EXPIRY_DAYS}")
        expires = timezone.now() + timedelta(days=expires_days) if expires_days else None
        others = ApiKey.objects.usable().filter(name=name).count()
        try:
            token = ApiKey.objects.make(name, scope, who=f"cli:{getpass.getuser()}", expires_at=expires)
        except ValidationError as wrong:
            raise CommandError("; ".join(wrong.messages)) from None
        if others:
            self.stderr.write(f"Note: {others} other usable key(s) named {name}; they see the same jobs.")
        self.stdout.write(token)
