"""The record of the requests of each API key, which /developers/ shows to staff."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from accounts.sites import api_requests


def note_request(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: count each request with a valid API key, by its operation and result."""

    def respond(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        key, match = getattr(request, "api_key", None), request.resolver_match
        if key is not None and match is not None:
            problem = getattr(response, "problem", "")
            method = request.method or ""
            api_requests.note(key, method=method, route=match.route, status=response.status_code, problem=problem)
        return response

    return respond
