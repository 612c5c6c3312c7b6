"""Errors of the API as problem details (RFC 9457). A `type` never changes its meaning."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import structlog
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from notifier.web.outage import RETRY_SECONDS

log = structlog.get_logger("notifier.api")

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:notifier:problem:"
MAX_JSON_BYTES = 64 * 1024
DRAIN_SECONDS = 0.5
DRAIN_BYTES = 64 * 1024  # in one read

KINDS: dict[str, tuple[int, str]] = {
    "bad-request": (400, "The request cannot be read."),
    "malformed-json": (400, "The body is not valid JSON."),
    "invalid-fields": (400, "Some fields are invalid."),
    "invalid-cursor": (400, "The cursor is invalid."),
    "unauthenticated": (401, "A valid API key is required."),
    "forbidden": (403, "The key or account lacks a permission."),
    "csrf-failed": (403, "The CSRF token is missing or wrong."),
    "not-found": (404, "The resource does not exist."),
    "method-not-allowed": (405, "The resource does not support this method."),
    "duplicate-job": (409, "A job with this id already exists."),
    "not-waiting": (409, "The job does not wait: it is running or has ended."),
    "not-a-dead-letter": (409, "The job is not a dead letter."),
    "too-many-endpoints": (409, "The site has as many event endpoints as it may have."),
    "endpoint-off": (409, "The event endpoint is off."),
    "not-failed": (409, "The event has not failed, or is running."),
    "length-required": (411, "A Content-Length is required."),
    "body-too-large": (413, "The body is larger than 64 KiB."),
    "unsupported-media-type": (415, "The body must be application/json in UTF-8."),
    "job-id-of-another-user": (422, "The job id belongs to a job of another user."),
    "idempotency-key-reused": (422, "The Idempotency-Key belongs to a request with another body."),
    "too-many-requests": (429, "Too many requests."),
    "too-many-notices": (429, "The user's hourly limit of notices is reached."),
    "internal-error": (500, "An internal error occurred."),
    "database-away": (503, "The database cannot be reached."),
}
KIND_OF_STATUS = {
    400: "bad-request",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    503: "database-away",
}


class Problem(Exception):
    """A response that ends the request. `kind` is a key of KINDS; `members` are further fields of the body."""

    def __init__(self, kind: str, detail: str = "", *, retry_after: int | None = None, **members: Any) -> None:
        super().__init__(kind)
        self.kind, self.detail, self.retry_after, self.members = kind, detail, retry_after, members

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return KINDS[self.kind][0]

    @property
    def body(self) -> dict[str, Any]:
        """Return the problem details."""
        status, title = KINDS[self.kind]
        detail = {"detail": self.detail} if self.detail else {}
        return {"type": TYPE_PREFIX + self.kind, "title": title, "status": status, **detail, **self.members}

    def response(self) -> HttpResponse:
        """Return the HTTP response."""
        status = self.status
        response = JsonResponse(self.body, status=status, content_type=MEDIA_TYPE)
        if self.retry_after is not None:
            response["Retry-After"] = str(self.retry_after)
        response.problem = self.kind  # type: ignore[attr-defined]
        if status == 401:
            response["WWW-Authenticate"] = 'Bearer realm="notifier"'
        return response


def database_away_response(error: Exception) -> HttpResponse:
    """Return the 503 for a database that is away, and drop the connection.

    The job may or may not have been stored; a repetition with the same jobId is safe.
    """
    log.warning("database away, request refused", error=str(error))
    connection.close()
    return Problem("database-away", "Try again with the same jobId.", retry_after=RETRY_SECONDS).response()


class ApiProblems:
    """Middleware that refuses oversized bodies below /api/ and turns every error page there into a problem."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not f"{request.path_info}/".startswith("/api/"):
            return self.get_response(request)
        response = _refuse_body(request) or _as_problem(self.get_response(request))
        response.setdefault("Cache-Control", "no-store")
        return response


def _refuse_body(request: HttpRequest) -> HttpResponse | None:
    """Return 413 for a body that is too long, 411 for one of unknown length, else None."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        return Problem("length-required").response()
    if not length.isdecimal():
        return Problem("bad-request", "Content-Length is not a number.").response()
    if int(length) <= MAX_JSON_BYTES:
        return None
    drain(request)
    return Problem("body-too-large").response()


def drain(request: HttpRequest) -> None:
    """Read the body for up to DRAIN_SECONDS.

    A client that is still sending when the connection closes sees no response.
    """
    until = time.monotonic() + DRAIN_SECONDS
    with contextlib.suppress(OSError):
        while time.monotonic() < until and request.read(DRAIN_BYTES):
            pass


def _as_problem(response: HttpResponseBase) -> HttpResponseBase:
    if response.status_code < 400 or response.get("Content-Type", "").startswith(MEDIA_TYPE):
        return response
    problem = Problem(
        KIND_OF_STATUS.get(response.status_code, "bad-request" if response.status_code < 500 else "internal-error")
    )
    replacement = problem.response()
    for name in ("Allow", "Retry-After"):
        if name in response:
            replacement[name] = response[name]
    return replacement
