"""What the tests of the mail share: a payload, and the site's mail going to a server of the test's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from accounts.mail import smtp
from accounts.mail.rendering import render_account_content
from accounts.notices.sign_in import deliver
from jobs.core.job import JobLog
from tests.support.smtp_server import SmtpServer

SMTP = "django.core.mail.backends.smtp.EmailBackend"
PAYLOAD: dict[str, Any] = {
    "userId": "7",
    "email": "bat@example.mn",
    "name": "Бат-Эрдэнэ",
    "provider": "password",
    "ipAddress": "203.0.113.7",
    "browser": "Chrome",
    "system": "Windows",
    "timestamp": "2025-12-19T08:03:11+00:00",
    "locale": "mn",
    "timezone": "Asia/Ulaanbaatar",
    "newDevice": False,
    "signInId": "6f0c2a52-4a3f-4d7e-9a53-0c9c5c7a7b11",
}

EVENT: dict[str, Any] = {
    "what": "password",
    "when": "2025.12.19 16:03",
    "until": "2025.12.26 16:03",
    "device": "Chrome, Windows",
    "undo_url": "https://example.mn/accounts/activity/undo/abc/",
    "ip": "203.0.113.7",
    "newDevice": True,
}


def account_email(kind: str, language: str, *, event: dict[str, Any] | None = None, **values: Any) -> Any:
    """Subject, text and HTML of an email about an account; a digest has two events."""
    shown = {"name": "bat", "url": EVENT["undo_url"], "what": "delete", "stage": "asked"}
    shown |= {"key": "nk_31907124_…", **values}
    account = {"account": "b***@example.mn"} if kind.startswith("dispute") else {}
    return render_account_content(kind, language, {**shown, "events": [{**EVENT, **account, **(event or {})}] * 2})


def set_mailer(settings: Any, backend: str = SMTP, alias: str = "default", **options: Any) -> None:
    """Change a mailer of the site: its backend, and options in addition to those that it has."""
    before = settings.MAILERS.get(alias, {})
    if before.get("BACKEND") == backend:
        options = {**before.get("OPTIONS", {}), **options}
    settings.MAILERS = {**settings.MAILERS, alias: {"BACKEND": backend, "OPTIONS": options}}


@contextmanager
def delivering_to(server: SmtpServer, settings: Any) -> Iterator[SmtpServer]:
    """The started server as the site's mail server; `settings` is pytest-django's fixture."""
    set_mailer(settings, host="127.0.0.1", port=server.port, timeout=10)
    server.start()
    try:
        yield server
    finally:
        smtp.close_connection()
        if server.server is not None:
            server.stop()


def send(job_id: str = "signin-1", **changes: Any) -> None:
    """Sends the notice of PAYLOAD with changes, as the worker's handler does."""
    deliver(JobLog(job_id=job_id, payload={**PAYLOAD, **changes}))
