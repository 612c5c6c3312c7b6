"""`manage.py rotate_secrets`: encrypt and hash stored data again with the present key (docs/secrets.md)."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.credentials import Credential
from accounts.events.endpoint import EventEndpoint
from accounts.factors.reencryption import reencrypt_factors
from accounts.suppression import entries
from accounts.user import User
from jobs.core.job import JobLog


class Command(BaseCommand):
    help = "After a rotation of SECRET_KEY or ENCRYPTION_KEY: gives stored secrets and hashes the present key."

    def handle(self, **_: Any) -> None:
        done, unreadable = reencrypt_factors()
        self.stdout.write(f"second factors encrypted with the present key: {done}")
        sealed, unreadable_secrets = EventEndpoint.objects.reencrypt()
        self.stdout.write(f"event endpoints whose secrets are encrypted with the present key: {sealed}")
        changed, unknown = entries.rekey(known_addresses())
        self.stdout.write(f"suppressed addresses hashed with the present key: {changed}")
        if unknown and settings.SECRET_KEY_FALLBACKS:
            latest = f"{max(entry.until for entry in unknown):%Y-%m-%d}"
            self.stdout.write(
                f"suppressed addresses that the site does not know: {len(unknown)}. Keep the former SECRET_KEY in "
                f"SECRET_KEY_FALLBACKS until {latest}, or they get email again."
            )
        if unreadable:
            raise CommandError(f"second factors that no key can read: {unreadable}. Add their key to the fallbacks.")
        if unreadable_secrets:
            raise CommandError(
                f"event endpoints whose secrets no key can read: {unreadable_secrets}. Add their key to the fallbacks."
            )


def known_addresses() -> Iterator[str]:
    """Return every address in the database, some of them several times."""
    jobs = JobLog.objects.exclude(payload__email=None).values_list("payload__email", flat=True)
    own = (
        User.objects.values_list("email", flat=True),
        EmailAddress.objects.values_list("email", flat=True),
        Credential.objects.values_list("address", flat=True),
    )
    return chain.from_iterable(rows.iterator() for rows in (*own, jobs))
