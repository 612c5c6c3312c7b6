"""`manage.py export_user USER`: all that is kept of a person, as JSON."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q

from accounts.kept import export
from accounts.models import User


class Command(BaseCommand):
    help = "Prints all that is kept of a person, as JSON: for whoever asks what is known of them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="a user name, a number or a mail address")

    def handle(self, *, user: str, **_: Any) -> None:
        whose = Q(username=user) | Q(email__iexact=user)
        found = list(User.objects.filter(whose | Q(pk=int(user)) if user.isdecimal() else whose)[:2])
        if not found:
            raise CommandError("there is no such user")
        if len(found) > 1:
            raise CommandError("several users fit: name one by the user name or the number")
        self.stdout.write(json.dumps(export(found[0]), cls=DjangoJSONEncoder, ensure_ascii=False, indent=2))
