"""`manage.py seed --jobs N`: fill the queue's tables with realistic jobs of the last 30 days."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from jobs.core import sql
from jobs.core.job import JobLog
from jobs.core.sql import loading
from jobs.stats import minutes
from notifier.ops import seeding, seeding_people


class Command(BaseCommand):
    help = "Loads realistic jobs of the last days, with their attempts and the overview's statistics, to try the pages."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--jobs", type=int, default=100_000)
        parser.add_argument("--days", type=int, default=30)
        parser.add_argument("--users", type=int, default=0, help="accounts, each with an address and a sign-in")
        parser.add_argument(
            "--waiting", action="store_true", help="leave the newest jobs waiting and running; a worker sends them"
        )
        parser.add_argument("--yes", action="store_true", help="also on a site without DEBUG")

    def handle(self, *args: Any, **options: Any) -> None:
        count, days, now = options["jobs"], options["days"], timezone.now()
        if count < 1 or days < 1:
            raise CommandError("--jobs and --days must be 1 or more")
        if not (settings.DEBUG or options["yes"]):
            raise CommandError("DEBUG is off: invented jobs would mix with real ones. Use --yes to load them anyway.")
        waiting = options["waiting"]
        first, share = loading.reserve_keys(JobLog, count), max(1, count // days)
        self.stdout.write(f"loading {count:,} jobs")
        if loading.can_multiply():
            made = seeding.jobs(share, first_key=first + count - share, days=1, now=now, waiting=waiting)
            seeding.multiply(made, days=days, share=share)
        else:
            seeding.load(seeding.jobs(count, first_key=first, days=days, now=now, waiting=waiting))
        if options["users"]:
            self.stdout.write(f"loading {options['users']:,} accounts")
            seeding_people.load(options["users"], now)
        sql.execute("ANALYZE")  # as PostgreSQL does automatically some minutes later
        self.stdout.write("computing the overview's statistics")
        minutes.rebuild(now, days)
        self.stdout.write("done")
