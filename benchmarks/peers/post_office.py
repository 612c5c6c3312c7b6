"""django-post-office: it has its own ledger, renders an email when it is queued, and sends in batches.

Its worker repeats `send_queued_mail` with two processes and pauses of a second.
"""

import time
from pathlib import Path
from typing import Any

from django.conf import settings
from post_office import mail as office

from benchmarks.work import mail

PAUSE_SECONDS = 1.0


def enqueue(reference: str, payload: dict[str, Any]) -> None:
    """Enqueue one email."""
    message = mail(reference, payload)
    office.send(
        recipients=message.to,
        sender=settings.DEFAULT_FROM_EMAIL,
        subject=message.subject,
        message=message.body,
        html_message=str(message.alternatives[0][0]),
        headers={**message.extra_headers, "Reply-To": settings.SUPPORT_EMAIL},
    )


def main() -> None:
    """Run the worker until killed."""
    lock = str(Path(settings.VAR_DIR, "post-office"))
    while True:
        office.send_queued_mail_until_done(lock, processes=2)
        time.sleep(PAUSE_SECONDS)
