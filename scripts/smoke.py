#!/usr/bin/env python3
"""Smoke test of a running site through its API: five cases.

usage: scripts/smoke.py URL KEY [EMAIL]

The key needs the scopes enqueue, read and admin. EMAIL receives the ten emails of the third case (default: an
address of its own for each run, at example.com, since an address gets 20 notices an hour). It needs only Python's
standard library.
"""

import json
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

HOURLY_LIMIT = 10
STATUSES = {"enqueued", "processing", "completed", "failed", "dlq", "discarded"}
Headers = dict[str, str]


class Response(NamedTuple):
    status: int
    headers: Headers
    body: Any


class UnexpectedResponse(Exception):
    """The site responded differently than it should."""


class Site:
    """The API at `url`, used with `key`. Its notices go to `email`, or to an address of this run."""

    def __init__(self, url: str, key: str, email: str = "") -> None:
        self.url, self.key, self.run = url.rstrip("/"), key, uuid.uuid4().hex[:12]
        self.email = email or f"smoke-{self.run}@example.com"

    def call(self, method: str, path: str, body: Any = None) -> Response:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=15) as response:
                return Response(response.status, dict(response.headers), json.load(response))
        except urllib.error.HTTPError as error:
            return Response(error.code, dict(error.headers), json.loads(error.read() or b"null"))

    def enqueue(self, user: str, number: int) -> Response:
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


def expect(response: Response, status: int, *fields: str) -> None:
    """Raise UnexpectedResponse unless the response has this status and these fields."""
    missing = [field for field in fields if field not in (response.body or {})]
    if response.status != status or missing:
        raise UnexpectedResponse(
            f"expected {status} with {', '.join(fields) or 'anything'}, got {response.status} {response.body}"
        )


def enqueue(site: Site) -> None:
    response = site.enqueue("one", 1)
    expect(response, 202, "jobId", "status")
    if not response.headers.get("Location", "").endswith(response.body["jobId"]):
        raise UnexpectedResponse(f"the Location is {response.headers.get('Location')}")


def status(site: Site) -> None:
    response = site.call("GET", f"/api/jobs/smoke-{site.run}-one-1")
    expect(response, 200, "jobId", "jobType", "status", "attemptCount", "maxAttempts", "createdAt")
    if response.body["status"] not in STATUSES:
        raise UnexpectedResponse(f"the status is {response.body['status']}")


def hourly_limit(site: Site) -> None:
    for number in range(HOURLY_LIMIT):
        expect(site.enqueue("many", number), 202)
    response = site.enqueue("many", HOURLY_LIMIT)
    expect(response, 429)
    if not response.headers.get("Retry-After", "").isdecimal():
        raise UnexpectedResponse("there is no Retry-After")


def duplicate(site: Site) -> None:
    expect(site.enqueue("one", 1), 409, "jobId", "status")


def dead_letters(site: Site) -> None:
    expect(site.call("GET", "/api/admin/dlq?limit=5"), 200, "items", "nextCursor")


CASES: dict[str, Callable[[Site], None]] = {
    "a notice is accepted": enqueue,
    "its job can be read": status,
    "the 11th in an hour is refused": hourly_limit,
    "a duplicate is refused": duplicate,
    "dead letters are listed": dead_letters,
}


def main(arguments: list[str]) -> int:
    """Run the cases and return the exit code: 0 when all passed."""
    if len(arguments) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    site, failed = Site(*arguments), 0
    for name, case in CASES.items():
        try:
            case(site)
            print(f"pass  {name}")
        except (UnexpectedResponse, OSError, ValueError) as error:
            failed += 1
            print(f"FAIL  {name}: {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
