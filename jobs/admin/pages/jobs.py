"""The URLs of the jobs' pages. Each page has a module of its name."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods

from jobs.admin.pages import dead_letters, export, job, job_list, search
from jobs.admin.parts import preview
from jobs.admin.parts.readonly import ReadOnlyAdmin
from jobs.core.job import JobLog

READ, WRITE, BOTH = ["GET", "HEAD"], ["POST"], ["GET", "HEAD", "POST"]


@admin.register(JobLog)
class JobLogAdmin(ReadOnlyAdmin):
    """Every page needs the view permission; replay (and reschedule), discard and reveal need their own as well."""

    def get_urls(self) -> list[URLPattern]:
        """Return only our own: Django's pages to add, change or delete are not reachable."""
        return [
            self._page("", "changelist", BOTH, self.changelist_view),
            self._page("search/", "search", WRITE, search.search_jobs),
            self._page("export.csv", "export", READ, export.stream_csv),
            self._page("dead-letters/", "dead", READ, lambda request: dead_letters.show_groups(self, request)),
            self._page(
                "replay/", "replay_all", BOTH, lambda request: dead_letters.confirm_group(self, request, "replay")
            ),
            self._page(
                "discard/", "discard_all", BOTH, lambda request: dead_letters.confirm_group(self, request, "discard")
            ),
            self._page("<str:object_id>/change/", "change", READ, self.change_view),
            self._page("<str:object_id>/replay/", "replay", WRITE, self._replay),
            self._page("<str:object_id>/discard/", "discard", WRITE, self._discard),
            self._page("<str:object_id>/reschedule/", "reschedule", WRITE, job.reschedule_job),
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
        """GET: show the list. POST: apply an action to the selected jobs."""
        return job_list.move_selected(request) if request.method == "POST" else job_list.show_list(self, request)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """GET: show the page of one job."""
        return job.show_job(self, request, object_id)

    def _replay(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return job.move_job(request, object_id, "replay")

    def _discard(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return job.move_job(request, object_id, "discard")

    def _reveal(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return job.reveal_payload(self, request, object_id)

    def _mail(self, request: HttpRequest, object_id: str, language: str, part: str) -> HttpResponse:
        return preview.preview_response(job.get_job(object_id), language, part)
