"""django-post-office: keeps a ledger of its own, renders when a mail is queued and sends what is queued in batches.

Its worker is `send_queued_mail` over and over, with two processes and a rest of a second.
"""

import time
from pathlib import Path
from typing import Any

from django.conf import settings
from post_office import mail as office

from benchmarks.work import mail

REST_SECONDS = 1.0


def enqueue(reference: str, payload: dict[str, Any]) -> None:
    """One mail."""
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
    """The worker, until killed."""
    lock = str(Path(settings.VAR_DIR, "post-office"))
    while True:
        office.send_queued_mail_until_done(lock, processes=2)
        time.sleep(REST_SECONDS)
