"""The API as one object: how it reads bodies, what becomes of errors, and its calls."""

from typing import Any

from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.openapi.docs import Swagger
from ninja.parser import Parser
from pydantic_core import from_json

from notifier.api import dead_letters, jobs
from notifier.api.field_errors import field_errors
from notifier.api.openapi import complete
from notifier.api.problems import Problem, database_away


class StrictJson(Parser):
    """JSON in UTF-8 alone: no NaN, no lone surrogate, no bottomless nesting, and said to be JSON."""

    def parse_body(self, request: HttpRequest) -> Any:
        charset = (request.content_params or {}).get("charset", "utf-8").lower()
        if request.content_type != "application/json" or charset not in ("utf-8", "utf8"):
            raise Problem("unsupported-media-type")
        try:
            return from_json(request.body, allow_inf_nan=False)
        except ValueError as wrong:
            raise Problem("malformed-json", str(wrong)[:200]) from None


class Api(NinjaAPI):
    def validation_error_from_error_contexts(self, error_contexts: list[Any]) -> Any:
        """Replaces ninja's own form of field errors."""
        found = [error for context in error_contexts for error in context.pydantic_validation_error.errors()]
        return Problem("invalid-fields", errors=field_errors(found))

    def get_openapi_schema(self, **options: Any) -> Any:
        """Completes ninja's own."""
        return complete(super().get_openapi_schema(**options))


class Pages(Swagger):
    template = "api/docs.html"


api = Api(
    title="Notifier",
    version="1",
    description="Tells people by e-mail that somebody has just signed in to their account.",
    urls_namespace="api",
    parser=StrictJson(),
    docs=Pages(),
)
api.add_router("/jobs", jobs.router)
api.add_router("/admin/dlq", dead_letters.router)


@api.exception_handler(Problem)
def _problem(request: HttpRequest, problem: Problem) -> HttpResponse:
    return problem.response()


@api.exception_handler(HttpError)
def _unreadable(request: HttpRequest, error: HttpError) -> HttpResponse:
    """ninja wraps whatever the parser raises."""
    cause = error.__cause__
    return (cause if isinstance(cause, Problem) else Problem("bad-request")).response()


@api.exception_handler(UnreadablePostError)
def _broken_off(request: HttpRequest, error: Exception) -> HttpResponse:
    return Problem("bad-request", "The body broke off.").response()


@api.exception_handler(OperationalError)
@api.exception_handler(InterfaceError)
@api.exception_handler(InternalError)
def _away(request: HttpRequest, error: Exception) -> HttpResponse:
    return database_away(error)
