"""`manage.py prune_jobs`: delete old data, as the workers do automatically once a day."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from jobs.maintenance import retention


class Command(BaseCommand):
    help = "Blanks personal data of old jobs and deletes old rows, by RETENTION_DAYS_*. May run while the workers run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count the rows")
        parser.add_argument("--json", action="store_true", help="machine-readable output")

    def handle(self, *, dry_run: bool, json: bool, **_: Any) -> None:
        counts = retention.prune(dry_run=dry_run)
        self.stdout.write(as_json(counts) if json else "\n".join(f"{n:>10} {name}" for name, n in counts.items()))


def as_json(counts: dict[str, int]) -> str:
    """Return the counts in one line."""
    return json.dumps(counts)
