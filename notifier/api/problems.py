"""Every error of the API as problem details (RFC 9457): one form, with a `type` that never changes its meaning."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

log = structlog.get_logger("notifier.api")

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:notifier:problem:"
MAX_BODY = 64 * 1024
DRAIN_SECONDS = 0.5
RETRY_AFTER = 5  # seconds, when the database is away

KINDS: dict[str, tuple[int, str]] = {
    "bad-request": (400, "The request cannot be read."),
    "malformed-json": (400, "The body is not JSON."),
    "invalid-fields": (400, "Some fields are wrong."),
    "invalid-cursor": (400, "The cursor is not one of ours."),
    "unauthenticated": (401, "A valid API key is needed."),
    "forbidden": (403, "The key or account may not do this."),
    "csrf-failed": (403, "The CSRF token is missing or wrong."),
    "not-found": (404, "There is nothing here."),
    "method-not-allowed": (405, "This address does not take this method."),
    "duplicate-job": (409, "There is a job with this id already."),
    "job-id-taken": (409, "Another source has a job with this id."),
    "not-a-dead-letter": (409, "The job is not a dead letter."),
    "length-required": (411, "A body needs a Content-Length."),
    "body-too-large": (413, "The body is larger than 64 KiB."),
    "unsupported-media-type": (415, "The body must be application/json in UTF-8."),
    "too-many-requests": (429, "Too many requests."),
    "too-many-notices": (429, "Too many notices for this user in an hour."),
    "internal-error": (500, "Something went wrong here."),
    "database-away": (503, "The database cannot be reached."),
}
OF_STATUS = {400: "bad-request", 403: "forbidden", 404: "not-found", 405: "method-not-allowed", 503: "database-away"}


class Problem(Exception):
    """An answer that ends the request. kind: a key of KINDS. members: more fields of the answer."""

    def __init__(self, kind: str, detail: str = "", *, retry_after: int | None = None, **members: Any) -> None:
        super().__init__(kind)
        self.kind, self.detail, self.retry_after, self.members = kind, detail, retry_after, members

    def response(self) -> HttpResponse:
        """The answer as it goes out."""
        status, title = KINDS[self.kind]
        body = {"type": TYPE + self.kind, "title": title, "status": status}
        if self.detail:
            body["detail"] = self.detail
        answer = JsonResponse({**body, **self.members}, status=status, content_type=MEDIA_TYPE)
        if self.retry_after is not None:
            answer["Retry-After"] = str(self.retry_after)
        if status == 401:
            answer["WWW-Authenticate"] = 'Bearer realm="notifier"'
        return answer


def database_away(error: Exception) -> HttpResponse:
    """503: nothing was written, or it is not known whether it was; the same jobId asks again safely."""
    log.warning("database away, request refused", error=str(error))
    return Problem("database-away", "Try again with the same jobId.", retry_after=RETRY_AFTER).response()


class ApiProblems:
    """Middleware: bodies under /api/ are measured before they are read, and no error leaves it as a page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not f"{request.path_info}/".startswith("/api/"):
            return self.get_response(request)
        answer = _measure(request) or _as_problem(self.get_response(request))
        answer.setdefault("Cache-Control", "no-store")
        return answer


def _measure(request: HttpRequest) -> HttpResponse | None:
    """413 or 411 for a body that is too long, or of which nobody says how long it is."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        return Problem("length-required").response()
    if not length.isdecimal():
        return Problem("bad-request", "Content-Length is no number.").response()
    if int(length) <= MAX_BODY:
        return None
    drain(request)
    return Problem("body-too-large").response()


def drain(request: HttpRequest) -> None:
    """Reads on for a moment: a client that is still sending when the connection closes sees no answer at all."""
    until = time.monotonic() + DRAIN_SECONDS
    with contextlib.suppress(OSError):
        while time.monotonic() < until and request.read(MAX_BODY):
            pass


def _as_problem(answer: HttpResponseBase) -> HttpResponseBase:
    if answer.status_code < 400 or answer.get("Content-Type", "").startswith(MEDIA_TYPE):
        return answer
    problem = Problem(
        OF_STATUS.get(answer.status_code, "bad-request" if answer.status_code < 500 else "internal-error")
    )
    told = problem.response()
    for name in ("Allow", "Retry-After"):
        if name in answer:
            told[name] = answer[name]
    return told
