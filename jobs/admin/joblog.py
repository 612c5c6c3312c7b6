"""The addresses of the jobs' pages; what each shows and does is in the module of its name."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods

from jobs.admin import dead_letters, export, job_page, list_page, mail, search
from jobs.admin.readonly import ReadOnlyAdmin
from jobs.models import JobLog

READ, WRITE, BOTH = ["GET", "HEAD"], ["POST"], ["GET", "HEAD", "POST"]


@admin.register(JobLog)
class JobLogAdmin(ReadOnlyAdmin):
    """Everything needs the view permission; replay, discard and reveal need theirs besides."""

    def get_urls(self) -> list[URLPattern]:
        """Only our own: none of Django's pages to add, change or delete is reachable."""
        return [
            self._page("", "changelist", BOTH, self.changelist_view),
            self._page("search/", "search", WRITE, search.find),
            self._page("export.csv", "export", READ, export.stream),
            self._page("dead-letters/", "dead", READ, lambda request: dead_letters.show(self, request)),
            self._page("replay/", "replay_all", BOTH, lambda request: dead_letters.confirm(self, request, "replay")),
            self._page("discard/", "discard_all", BOTH, lambda request: dead_letters.confirm(self, request, "discard")),
            self._page("<str:object_id>/change/", "change", READ, self.change_view),
            self._page("<str:object_id>/replay/", "replay", WRITE, self._replay),
            self._page("<str:object_id>/discard/", "discard", WRITE, self._discard),
            self._page("<str:object_id>/reveal/", "reveal", WRITE, self._reveal),
            self._page("<str:object_id>/mail/<str:language>/<str:part>/", "mail", READ, self._mail),
        ]

    def _page(self, route: str, name: str, methods: list[str], view: Callable[..., HttpResponseBase]) -> URLPattern:
        @require_http_methods(methods)
        def allowed(request: HttpRequest, **words: str) -> HttpResponseBase:
            if not self.has_view_permission(request):
                raise PermissionDenied
            return view(request, **words)

        return path(route, self.admin_site.admin_view(allowed), name=f"jobs_joblog_{name}")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """GET: the list. POST: an action on the ticked jobs."""
        return list_page.act(request) if request.method == "POST" else list_page.show(self, request)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """GET: the page of one job."""
        return job_page.show(self, request, object_id)

    def _replay(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return job_page.act(request, object_id, "replay")

    def _discard(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return job_page.act(request, object_id, "discard")

    def _reveal(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return job_page.reveal(self, request, object_id)

    def _mail(self, request: HttpRequest, object_id: str, language: str, part: str) -> HttpResponse:
        return mail.frame(job_page.find(object_id), language, part)
