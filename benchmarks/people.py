"""Sign-ins of made-up people: the payloads of the jobs that every contender does."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

NAMES = ("Батбаяр Дорж", "Оюунчимэг Сүхбат", "Ганболд Энхтуяа", "Мөнхзул Цэрэндорж")
DEVICES = (("Chrome", "Windows"), ("Safari", "iOS"), ("Firefox", "Linux"), ("Chrome Mobile", "Android"))
WAYS = ("password", "github")


def payloads(prefix: str, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """`count` references that begin with `prefix`, each with the sign-in of another person."""
    for number in range(count):
        yield f"{prefix}-{number}", payload(number)


def payload(number: int) -> dict[str, Any]:
    """A sign-in in the form of accounts.notices.payload."""
    browser, system = DEVICES[number % len(DEVICES)]
    return {
        "userId": str(number),
        "email": f"person{number}@example.mn",
        "name": NAMES[number % len(NAMES)],
        "provider": WAYS[number % len(WAYS)],
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
