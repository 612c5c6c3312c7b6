"""What every peer's task does: the site's own letter, Django's mail, a kept SMTP connection, the ledger."""

import os
import threading
from typing import Any

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
if not apps.models_ready:
    django.setup()

from django.core.mail import EmailMultiAlternatives, get_connection

from accounts import letters, messages, rendering
from benchmarks import ledger

_kept = threading.local()


def work(key: int, reference: str, payload: dict[str, Any]) -> None:
    """One job."""
    ledger.processing(key)
    _send(mail(reference, payload))
    ledger.completed(key)


def mail(reference: str, payload: dict[str, Any]) -> EmailMultiAlternatives:
    """The notice of a sign-in, as ours."""
    letter = letters.write(payload)
    return messages.as_message(messages.Mail(reference, payload["email"], letter.language, *rendering.render(letter)))


def _send(message: EmailMultiAlternatives) -> None:
    """Sends by this thread's connection, which stays open."""
    if not hasattr(_kept, "connection"):
        _kept.connection = get_connection()
        _kept.connection.open()
    _kept.connection.send_messages([message])
