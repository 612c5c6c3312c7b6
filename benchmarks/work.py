"""The task of every peer: the site's email, sent by Django over a persistent SMTP connection, and the ledger."""

import os
import threading
from typing import Any

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
if not apps.models_ready:
    django.setup()

from django.core.mail import EmailMultiAlternatives

from accounts.mail import content, mime, rendering
from accounts.mail.providers.configured import configured, connect
from benchmarks import ledger

_local = threading.local()


def work(key: int, reference: str, payload: dict[str, Any]) -> None:
    """Run one job."""
    ledger.processing(key)
    _send(mail(reference, payload))
    ledger.completed(key)


def mail(reference: str, payload: dict[str, Any]) -> EmailMultiAlternatives:
    """Return the notice of a sign-in, as ours sends it."""
    email_content = content.write_content(payload)
    return mime.as_message(
        mime.Mail(reference, payload["email"], email_content.language, *rendering.render_content(email_content))
    )


def _send(message: EmailMultiAlternatives) -> None:
    """Send over this thread's connection, which stays open."""
    if not hasattr(_local, "connection"):
        _local.connection = connect(configured()[0])
        _local.connection.open()
    _local.connection.send_messages([message])
