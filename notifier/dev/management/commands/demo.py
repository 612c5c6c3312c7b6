"""`manage.py demo`, used by `make demo`: the demo accounts of a development machine."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from notifier.dev import accounts


class Command(BaseCommand):
    help = "Creates the demo accounts that are missing and prints their passwords once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--new-passwords", action="store_true", help="also for existing demo accounts")

    def handle(self, **options: Any) -> None:
        passwords = accounts.create_missing(new_passwords=options["new_passwords"])
        for line in accounts.describe(passwords):
            self.stdout.write(f"  {line}")
