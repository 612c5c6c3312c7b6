"""The API object: its body parser, error handlers and operations."""

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.shortcuts import render
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.openapi.docs import DocsBase
from ninja.parser import Parser
from pydantic_core import from_json

from jobs import __version__
from jobs.core import sql
from notifier.api import dead_letters, event_endpoints, jobs, users
from notifier.api.fields import field_errors
from notifier.api.openapi import complete
from notifier.api.problems import Problem, database_away_response
from notifier.developers.reference import load_groups

DOCUMENTS_KEPT = 4  # one for each prefix under which the site is mounted


class StrictJson(Parser):
    """A parser for JSON in UTF-8, declared as such. It refuses NaN, lone surrogates and endless nesting."""

    def parse_body(self, request: HttpRequest) -> Any:
        charset = (request.content_params or {}).get("charset", "utf-8").lower()
        if request.content_type != "application/json" or charset not in ("utf-8", "utf8"):
            raise Problem("unsupported-media-type")
        try:
            return from_json(request.body, allow_inf_nan=False)
        except ValueError as error:
            raise Problem("malformed-json", str(error)[:200]) from None


class Api(NinjaAPI):
    """The API with this project's errors and OpenAPI document."""

    def validation_error_from_error_contexts(self, error_contexts: list[Any]) -> Any:
        """Convert invalid fields to a Problem, in place of ninja's own form."""
        errors = [error for context in error_contexts for error in context.pydantic_validation_error.errors()]
        return Problem("invalid-fields", errors=field_errors(errors))

    def get_openapi_schema(self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None) -> Any:
        """Return ninja's document with the parts that it leaves out: the same object each time, so do not change it."""
        return _document(self.get_root_path(path_params or {}) if path_prefix is None else path_prefix)


class ReferencePage(DocsBase):
    """The page that shows the OpenAPI document, in place of ninja's own, which needs scripts."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **_: Any) -> HttpResponse:
        context = {"groups": load_groups(api.get_openapi_schema()), "url": settings.SITE_URL.rstrip("/")}
        return render(request, "api/docs.html", context)


@lru_cache(DOCUMENTS_KEPT)
def _document(path_prefix: str) -> Any:
    """Return the OpenAPI document. To make it takes a tenth of a second, and anyone may ask for its pages."""
    return complete(NinjaAPI.get_openapi_schema(api, path_prefix=path_prefix))


api = Api(
    title="Notifier",
    version=__version__,
    description="Emails users when someone signs in to their account.",
    urls_namespace="api",
    parser=StrictJson(),
    docs=ReferencePage(),
)
api.add_router("/jobs", jobs.router)
api.add_router("/admin/dlq", dead_letters.router)
api.add_router("/users", users.router)
api.add_router("/event-endpoints", event_endpoints.router)


@api.exception_handler(Problem)
def _problem(request: HttpRequest, problem: Problem) -> HttpResponse:
    return problem.response()


@api.exception_handler(HttpError)
def _unreadable(request: HttpRequest, error: HttpError) -> HttpResponse:
    """Unwrap the parser's Problem: ninja wraps every exception that a parser raises."""
    cause = error.__cause__
    return (cause if isinstance(cause, Problem) else Problem("bad-request")).response()


@api.exception_handler(UnreadablePostError)
def _broken_off(request: HttpRequest, _error: Exception) -> HttpResponse:
    return Problem("bad-request", "The connection closed before the whole body was received.").response()


@api.exception_handler(Error)
def _away(request: HttpRequest, error: Error) -> HttpResponse:
    if not sql.is_away(error):
        raise error
    return database_away_response(error)
