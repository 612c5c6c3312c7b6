"""`manage.py demo`, behind `make demo`: the demo accounts of a development machine."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from notifier.dev import accounts


class Command(BaseCommand):
    help = "Makes the demo accounts that are missing and prints their passwords, this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--new-passwords", action="store_true", help="also for the accounts that are there")

    def handle(self, **options: Any) -> None:
        given = accounts.ensure(new_passwords=options["new_passwords"])
        for demo in accounts.ACCOUNTS:
            role = "operator" if demo.operator else "person"
            told = f"password {given[demo.username]}   (shown this once)" if demo.username in given else "made earlier"
            self.stdout.write(f"  {role:<9} user name {demo.username:<9} {told}")
        if len(given) < len(accounts.ACCOUNTS):
            self.stdout.write("  Passwords forgotten? `make demo` gives them new ones.")
