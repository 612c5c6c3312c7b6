#!/usr/bin/env python3
"""Tries a running site by its API: five cases, pass or fail for each.   usage: scripts/smoke.py URL KEY [EMAIL]

The key needs the scopes enqueue, read and admin. EMAIL gets the ten mails that the third case takes (default:
smoke@example.com, an address that nobody has). Python's standard library alone.
"""

import json
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

PER_HOUR = 10
STATES = {"enqueued", "processing", "completed", "failed", "dlq", "discarded"}
Headers = dict[str, str]


class Answer(NamedTuple):
    status: int
    headers: Headers
    body: Any


class Wrong(Exception):
    """The site answered something else than it should."""


class Site:
    """The API at `url` with `key`; the notices go to `email`."""

    def __init__(self, url: str, key: str, email: str) -> None:
        self.url, self.key, self.email = url.rstrip("/"), key, email
        self.run = uuid.uuid4().hex[:12]

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return Answer(answer.status, dict(answer.headers), json.load(answer))
        except urllib.error.HTTPError as error:
            return Answer(error.code, dict(error.headers), json.loads(error.read() or b"null"))

    def enqueue(self, user: str, number: int) -> Answer:
        notice = {
            "userId": f"smoke-{self.run}-{user}",
            "email": self.email,
            "name": "Smoke",
            "provider": "password",
            "ipAddress": "192.0.2.1",
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0",
            "timestamp": datetime.now(UTC).isoformat(),
            "jobId": f"smoke-{self.run}-{user}-{number}",
        }
        return self.call("POST", "/api/jobs/signin-notification", notice)


def expect(answer: Answer, status: int, *fields: str) -> None:
    """Raises Wrong unless the answer has this status and these fields."""
    missing = [field for field in fields if field not in (answer.body or {})]
    if answer.status != status or missing:
        raise Wrong(f"expected {status} with {', '.join(fields) or 'anything'}, got {answer.status} {answer.body}")


def enqueue(site: Site) -> None:
    answer = site.enqueue("one", 1)
    expect(answer, 202, "jobId", "status")
    if not answer.headers.get("Location", "").endswith(answer.body["jobId"]):
        raise Wrong(f"the Location is {answer.headers.get('Location')}")


def status(site: Site) -> None:
    answer = site.call("GET", f"/api/jobs/smoke-{site.run}-one-1")
    expect(answer, 200, "jobId", "jobType", "status", "attemptCount", "maxAttempts", "createdAt")
    if answer.body["status"] not in STATES:
        raise Wrong(f"the status is {answer.body['status']}")


def eleventh(site: Site) -> None:
    for number in range(PER_HOUR):
        expect(site.enqueue("many", number), 202)
    answer = site.enqueue("many", PER_HOUR)
    expect(answer, 429)
    if not answer.headers.get("Retry-After", "").isdecimal():
        raise Wrong("there is no Retry-After")


def duplicate(site: Site) -> None:
    expect(site.enqueue("one", 1), 409, "jobId", "status")


def dead_letters(site: Site) -> None:
    expect(site.call("GET", "/api/admin/dlq?limit=5"), 200, "items", "nextCursor")


CASES: dict[str, Callable[[Site], None]] = {
    "a notice is taken": enqueue,
    "its job can be read": status,
    "the 11th in an hour is refused": eleventh,
    "a duplicate is refused": duplicate,
    "dead letters are listed": dead_letters,
}


def main(arguments: list[str]) -> int:
    """The exit code: 0 when every case passed."""
    if len(arguments) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    site, failed = Site(*arguments[:2], email=arguments[2] if len(arguments) == 3 else "smoke@example.com"), 0
    for name, case in CASES.items():
        try:
            case(site)
            print(f"pass  {name}")
        except (Wrong, OSError, ValueError) as wrong:
            failed += 1
            print(f"FAIL  {name}: {wrong}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
