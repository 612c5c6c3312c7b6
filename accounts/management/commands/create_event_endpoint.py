"""`manage.py create_event_endpoint shop https://shop.example/events`: create an endpoint and print its secret, once."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from accounts.events.endpoint import CHOSEN_TYPES, EventEndpoint
from accounts.sites.site import Site
from jobs.management.verbs import operator


class Command(BaseCommand):
    help = "Creates an event endpoint of a site and prints its secret. The secret is shown only once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="the slug of the site, for example shop")
        parser.add_argument("url", help="where events are sent, for example https://shop.example/events")
        parser.add_argument(
            "--type", action="append", default=[], choices=CHOSEN_TYPES, help="may be repeated (default: all types)"
        )

    def handle(self, *, slug: str, url: str, type: list[str], **_: Any) -> None:
        site = Site.objects.filter(slug=slug).first()
        if site is None:
            raise CommandError(f"There is no site {slug!r}. Create it: manage.py create_site {slug} --name NAME")
        try:
            _endpoint, secret = EventEndpoint.objects.make(site, url, type, who=operator())
        except ValidationError as wrong:
            raise CommandError(" ".join(wrong.messages)) from None
        self.stdout.write(secret)
