"""A log line for each request, and a request id in all its log lines and in the jobs that it enqueues."""

import time
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse
from structlog.contextvars import bound_contextvars

from jobs import tracing

log = structlog.get_logger("notifier.request_logging")

QUIET = {"healthz", "readyz", "metrics"}  # requested every few seconds: logged only when they fail
HEADER = "X-Request-ID"


def log_request(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: log each request. The response returns the request id, which is never the client's.

    The line contains the URL pattern that matched, not the path, which may contain a token.
    """

    def respond(request: HttpRequest) -> HttpResponse:
        request_id = uuid.uuid4().hex
        started = time.monotonic()
        span = tracing.span("request", "server", parent=_parent(request), http__request__method=_method(request))
        with bound_contextvars(request_id=request_id), span as made:
            response = get_response(request)
            route = request.resolver_match.route if request.resolver_match else "unknown"
            if made:
                made.update_name(f"{_method(request)} /{route}")
                made.set_attributes({"http.route": route, "http.response.status_code": response.status_code})
                if response.status_code >= 500:
                    tracing.fail(str(response.status_code))
            if route not in QUIET or response.status_code >= 500:
                ms = round((time.monotonic() - started) * 1000, 1)
                log.info("request", method=_method(request), route=route, status=response.status_code, ms=ms)
        response[HEADER] = request_id
        return response

    return respond


def _parent(request: HttpRequest) -> str:
    """Return the traceparent that a client or proxy sent; "" when there is no valid one."""
    sent = request.headers.get("traceparent", "") if tracing.is_on() else ""
    return sent if tracing.is_traceparent(sent) else ""


def _method(request: HttpRequest) -> str:
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return request.method if request.method in known else "other"
