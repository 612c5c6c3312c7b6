"""`manage.py rotate_api_key nk_PREFIX`: create the successor of a key, which stays valid for a while; print it once."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.management.commands.create_api_key import end_after
from accounts.sites.admin.rotation import next_end
from accounts.sites.keys import LONGEST_OVERLAP, OVERLAP, ApiKey
from jobs.management.verbs import operator


class Command(BaseCommand):
    help = "Creates the successor of a key and prints it, only once. The old key stays valid for some days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key", help="the start of the old key, nk_<prefix>, or its name if one valid key has it")
        parser.add_argument(
            "--overlap-days",
            type=int,
            default=OVERLAP.days,
            help=f"days for which the old key stays valid (default: {OVERLAP.days})",
        )
        parser.add_argument(
            "--expires-days", type=int, help="days until the new key expires (default: as long as the old one lasted)"
        )

    def handle(self, *, key: str, overlap_days: int, expires_days: int | None, **_: Any) -> None:
        if not 0 <= overlap_days <= LONGEST_OVERLAP.days:
            raise CommandError(f"--overlap-days must be from 0 to {LONGEST_OVERLAP.days}")
        expires, old = end_after(expires_days), _find(key)
        ends_at = timezone.now() + timedelta(days=overlap_days)
        try:
            token = old.rotate(who=operator(), ends_at=ends_at, expires_at=expires or next_end(old))
        except ValidationError as wrong:
            raise CommandError("; ".join(wrong.messages)) from None
        old.refresh_from_db()
        self.stderr.write(f"Note: the old key {old} is valid until {old.expires_at:%Y-%m-%d %H:%M %Z}.")
        self.stdout.write(token)


def _find(named: str) -> ApiKey:
    """Return the key with this start, or the one valid key with this name. Raise CommandError."""
    start = named.removeprefix("nk_").partition("_")[0]
    if found := ApiKey.objects.filter(prefix=start).first():
        return found
    keys = list(ApiKey.objects.usable().filter(name=named, replaced_by=None)[:2])
    if len(keys) == 1:
        return keys[0]
    why = "There are several" if keys else "There is no"
    raise CommandError(f"{why} valid key{'s' * bool(keys)} named {named!r}. Name it by its start, nk_<prefix>.")
