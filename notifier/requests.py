"""One line for each request, and an id that every line of its work carries, the jobs it enqueued included."""

import time
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse
from structlog.contextvars import bound_contextvars

log = structlog.get_logger("notifier.requests")

QUIET = {"healthz", "readyz", "metrics"}  # asked every few seconds: told when they fail
HEADER = "X-Request-ID"


def told(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware. The id is ours, never the client's, who might put anything there; the answer names it.

    The line holds the pattern that the path matched, not the path: that may be a token.
    """

    def respond(request: HttpRequest) -> HttpResponse:
        request_id = uuid.uuid4().hex
        started = time.monotonic()
        with bound_contextvars(request_id=request_id):
            response = get_response(request)
            route = request.resolver_match.route if request.resolver_match else "unknown"
            if route not in QUIET or response.status_code >= 500:
                ms = round((time.monotonic() - started) * 1000, 1)
                log.info("request", method=_method(request), route=route, status=response.status_code, ms=ms)
        response[HEADER] = request_id
        return response

    return respond


def _method(request: HttpRequest) -> str:
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return request.method if request.method in known else "other"
