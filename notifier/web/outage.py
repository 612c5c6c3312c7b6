"""The response 503 of a site whose database is away, and of one that has more requests than it can answer in time.

Its page needs no database, no session and no cache. ApiProblems turns it into a problem below /api/.
"""

import sys
from collections.abc import Callable

import structlog
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.views.defaults import server_error

from jobs.core import sql
from notifier.web import waits

log = structlog.get_logger("notifier.web.outage")

RETRY_SECONDS = 5


class Outage:
    """Middleware: 503 for a request that arrived too long ago, and for a view that the database failed."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if waits.is_too_late(request.META):
            log.warning("too many requests at a time, request refused")
            return unavailable()
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Respond 503 when the database is away; leave every other error to Django."""
        return database_away(exception) if sql.is_away(exception) else None


def error(request: HttpRequest) -> HttpResponse:
    """Respond to an exception that no middleware handled, of a middleware itself, for example (handler500)."""
    exception = sys.exc_info()[1]
    return database_away(exception) if exception and sql.is_away(exception) else server_error(request)


def database_away(exception: BaseException) -> HttpResponse:
    """Return the 503, and drop the connection: the next request makes another, to the server that then answers."""
    log.warning("database away, request refused", error=str(exception))
    waits.trouble.report()
    connection.close()
    return unavailable()


def unavailable() -> HttpResponse:
    """Return the page in both languages, with status 503."""
    page = loader.get_template("503.html").render()
    return HttpResponse(page, status=503, headers={"Retry-After": str(RETRY_SECONDS), "Cache-Control": "no-store"})
