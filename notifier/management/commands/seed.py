"""`manage.py seed --jobs N`: fills the queue's tables with believable jobs of the last 30 days."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils import timezone

from jobs import rollups
from notifier import seeding


class Command(BaseCommand):
    help = "Loads believable jobs of the last days, with their attempts and the overview's figures. For trying out."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--jobs", type=int, default=100_000)
        parser.add_argument("--days", type=int, default=30)
        parser.add_argument("--yes", action="store_true", help="also on a site that is not in DEBUG")

    def handle(self, *args: Any, **options: Any) -> None:
        count, days, now = options["jobs"], options["days"], timezone.now()
        if count < 1 or days < 1:
            raise CommandError("--jobs and --days must be 1 or more")
        if not (settings.DEBUG or options["yes"]):
            raise CommandError("this is not a development site: made-up jobs would be sent. --yes if you mean it.")
        first, share = seeding.reserve(count), max(1, count // days)
        self.stdout.write(f"loading {count:,} jobs")
        if connection.vendor == "postgresql":
            made = seeding.jobs(share, first_key=first + count - share, days=1, now=now)
            seeding.multiply(made, days=days, share=share)
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE job_logs, job_attempts")
        else:
            seeding.load(seeding.jobs(count, first_key=first, days=days, now=now))
        self.stdout.write("counting the overview's figures")
        rollups.rebuild(now, days)
        self.stdout.write("done")
