"""`manage.py preview_mails`: every variant of every email as files, with a page that lists them. Nothing is sent."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.mail.brand import Brand
from accounts.previews import folder
from accounts.previews.registry import brands
from accounts.previews.variant import languages
from accounts.sites.site import Site


class Command(BaseCommand):
    help = "Writes every variant of every email, about invented events, as .html, .txt and .eml files. Sends nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--to", metavar="DIR", type=Path, help="the folder (default: VAR_DIR/previews)")
        parser.add_argument("--language", choices=languages(), help="one of LANGUAGES (default: all of them)")
        parser.add_argument(
            "--site",
            metavar="SITE",
            help="own, example (an invented site) or a slug of a site (default: own and example)",
        )

    def handle(self, **options: Any) -> None:
        to = options["to"] or settings.VAR_DIR / "previews"
        chosen = [options["language"]] if options["language"] else languages()
        try:
            count = folder.write(to, _brands(options["site"]), chosen)
        except (folder.NotEmpty, OSError) as refused:
            raise CommandError(str(refused)) from None
        self.stdout.write(f"{count} emails, as HTML, text and .eml: open {to / folder.INDEX}")


def _brands(site: str | None) -> dict[str, Brand]:
    known = brands()
    if site is None:
        return known
    if site in known:
        return {site: known[site]}
    found = Site.objects.filter(slug=site).first()
    if found is None:
        raise CommandError(f"{site!r} is not own, example or the slug of a site")
    return {site: found.brand}
