"""`manage.py create_site shop --name Shop --url https://shop.example`: create a site whose users get notices."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from accounts.sites.site import Site
from jobs.management.verbs import operator

OPTIONS = {
    "url": "its address, for example https://shop.example",
    "secure_url": "the page where its users secure their account (default: its URL)",
    "support_email": "the address for the questions of its users",
    "sender": "the sender of its emails, `Name <address>`; the domain must be one of SENDER_DOMAINS",
    "colour": "the accent colour of its emails, for example #0055aa",
    "language": "the language of a notice whose request names none",
    "time_zone": "the time zone of a notice whose request names none",
    "link_host": "a host name of the site that leads here, for the links in its emails",
}


class Command(BaseCommand):
    help = "Creates a site. Its keys are created with create_api_key NAME --site SLUG."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="the source of its jobs, for example shop")
        parser.add_argument("--name", required=True, help="its name in emails, for example “Mountain Shop”")
        for name, text in OPTIONS.items():
            parser.add_argument(f"--{name.replace('_', '-')}", default="", help=text)
        parser.add_argument("--per-hour", type=int, help="routine notices of one user in an hour")
        parser.add_argument("--test-mode", action="store_true", help="do everything except send the emails")

    def handle(self, *, slug: str, **options: Any) -> None:
        fields = {name: options[name] for name in ("name", *OPTIONS, "per_hour", "test_mode")}
        try:
            site = Site.objects.make(slug, who=operator(), **fields)
        except ValidationError as wrong:
            raise CommandError(_explain(wrong)) from None
        self.stdout.write(
            f"The site {site.slug} is created. Next: manage.py create_api_key {site.slug} --site {site.slug}"
        )


def _explain(wrong: ValidationError) -> str:
    """Return one line for each invalid option."""
    if not hasattr(wrong, "error_dict"):
        return " ".join(wrong.messages)
    named = {f"--{name.replace('_', '-')}": " ".join(texts) for name, texts in wrong.message_dict.items()}
    return "\n".join(f"{'SLUG' if option == '--slug' else option}: {text}" for option, text in named.items())
