"""`manage.py create_api_key NAME --for send`: create a key and print it, once."""

from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.sites.keys import ApiKey, Purpose, Scope
from accounts.sites.site import Site
from jobs.management.verbs import operator

MAX_EXPIRY_DAYS = 3650


class Command(BaseCommand):
    help = "Creates a key of the HTTP API and prints it. It is shown only once: the database stores its hash."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the name of the key, for example shop")
        parser.add_argument("--site", help="the slug of its site (default: NAME; created if there is none)")
        scopes = parser.add_mutually_exclusive_group(required=True)
        scopes.add_argument(
            "--for",
            dest="purpose",
            choices=Purpose.values,
            help="send: enqueue, read; read: read; operate: read, admin",
        )
        scopes.add_argument("--scope", action="append", choices=Scope.values, help="may be repeated, instead of --for")
        parser.add_argument("--expires-days", type=int, help="days until it expires (default: never)")

    def handle(
        self,
        *,
        name: str,
        site: str | None,
        scope: list[str] | None,
        purpose: str | None,
        expires_days: int | None,
        **_: Any,
    ) -> None:
        expires = end_after(expires_days)
        scopes = Purpose(purpose).scopes if purpose else scope or []
        others = ApiKey.objects.usable().filter(site__slug=site or name).count()
        try:
            token = ApiKey.objects.make(name, scopes, who=operator(), expires_at=expires, site=_find_site(site))
        except ValidationError as wrong:
            raise CommandError("; ".join(wrong.messages)) from None
        if others:
            self.stderr.write(f"Note: {others} other usable key(s) of the site {site or name}; they see the same jobs.")
        self.stdout.write(token)


def _find_site(slug: str | None) -> Site | None:
    """Return the site with this slug, None for no slug. Raise CommandError for an unknown one."""
    if slug is None:
        return None
    if found := Site.objects.others().filter(slug=slug).first():
        return found
    raise CommandError(f"There is no site {slug!r}. Create it: manage.py create_site {slug} --name NAME")


def end_after(days: int | None) -> datetime | None:
    """Return the end of a key in so many days; None for None. Raise CommandError for too few or too many."""
    if days is None:
        return None
    if not 1 <= days <= MAX_EXPIRY_DAYS:
        raise CommandError(f"--expires-days must be from 1 to {MAX_EXPIRY_DAYS}")
    return timezone.now() + timedelta(days=days)
