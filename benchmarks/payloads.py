"""Sign-ins of invented users: the payloads of the jobs that every contender runs."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

NAMES = ("Батбаяр Дорж", "Оюунчимэг Сүхбат", "Ганболд Энхтуяа", "Мөнхзул Цэрэндорж")
DEVICES = (("Chrome", "Windows"), ("Safari", "iOS"), ("Firefox", "Linux"), ("Chrome Mobile", "Android"))
PROVIDERS = ("password", "github")


def payloads(prefix: str, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield `count` references that begin with `prefix`, each with the sign-in of a different user."""
    for number in range(count):
        yield f"{prefix}-{number}", payload(number)


def payload(number: int) -> dict[str, Any]:
    """Return a sign-in in the form of accounts.notices.sign_in.SignInNotice.payload."""
    browser, system = DEVICES[number % len(DEVICES)]
    return {
        "userId": str(number),
        "email": f"user{number}@example.mn",
        "name": NAMES[number % len(NAMES)],
        "provider": PROVIDERS[number % len(PROVIDERS)],
        "ipAddress": f"203.0.113.{number % 256}",
        "browser": browser,
        "system": system,
        "timestamp": datetime.now(UTC).isoformat(),
        "locale": "mn",
        "timezone": "Asia/Ulaanbaatar",
        "newDevice": number % 7 == 0,
        "moreSignIns": 0,
        "signInId": str(uuid.uuid4()),
    }
