"""A real mail server that listens on one port for each condition, as the site's mail server."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accounts.mail import smtp, smtp_errors
from tests.support.mail import send, set_mailer


def choosing(ports: dict[str, int], settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Yield a function that makes one condition the site's mail server. ports: of the conditions, by name."""
    monkeypatch.setattr(smtp, "refusals", smtp_errors.Refusals())
    set_mailer(settings, host="127.0.0.1", timeout=10)
    settings.EMAIL_EHLO_NAME = "site.example.mn"

    def choose(condition: str) -> None:
        set_mailer(settings, port=ports[condition])

    yield choose
    smtp.close_connection()


def error_of(action: Callable[..., Any] = send, **changes: Any) -> Exception:
    """Return what an action raises; fail when it raises nothing."""
    with pytest.raises(Exception) as raised:
        action(**changes)
    return raised.value
