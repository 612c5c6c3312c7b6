"""Two pages of the administration: the search for everything, and one person with the cause of a missing email."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from accounts import credentials
from accounts.people.cause import find_cause
from accounts.people.person import Person, person_of, with_jobs
from accounts.people.search import LONGEST, Hit, search
from accounts.sign_in.event import SignIn
from accounts.sign_in.sessions import Session
from accounts.user import User
from jobs.admin.parts import paging
from jobs.core import audit

LATEST_JOBS = 20


class PeoplePages(admin.ModelAdmin):
    """The URLs of both pages."""

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        return [
            path("find/", guard(self._find), name="accounts_find"),
            path("<int:pk>/person/", guard(self._account_page), name="accounts_person"),
            path("elsewhere/<uuid:pk>/", guard(self._elsewhere_page), name="accounts_person_elsewhere"),
            *super().get_urls(),
        ]

    def _find(self, request: HttpRequest) -> HttpResponse:
        """Show what a POSTed `q` identifies; a single result is opened. No URL contains what was typed."""
        text = request.POST.get("q", "").strip()[:LONGEST]
        try:
            with paging.time_limit():
                hits = search(text, request.user)
        except paging.TooBroad:
            messages.error(request, _("The search took too long and was stopped."))
            return HttpResponseRedirect(reverse("admin:accounts_find"))
        _audit(request, hits)
        if len(hits) == 1:
            return HttpResponseRedirect(hits[0].link)
        context = self._context(request, title=_("Search"), sought=text, hits=hits)
        return TemplateResponse(request, "admin/accounts/people/found.html", context)

    def _account_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self._person_page(request, Person(user=get_object_or_404(User, pk=pk)))

    def _elsewhere_page(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        if not request.user.has_perm("accounts.view_signin"):
            raise PermissionDenied
        found = get_object_or_404(SignIn.objects.select_related("site", "user"), pk=pk)
        if not found.site_id:
            return HttpResponseRedirect(person_of(found).page)
        return self._person_page(request, Person(seen=found))

    def _person_page(self, request: HttpRequest, person: Person) -> HttpResponse:
        may = request.user.has_perm
        context = self._context(
            request,
            title=person.name,
            person=person,
            cause=find_cause(person),
            sign_ins=with_jobs(person.sign_ins()) if may("accounts.view_signin") else [],
            jobs=person.jobs()[:LATEST_JOBS] if may("jobs.view_joblog") else [],
            **_account_facts(person),
        )
        return TemplateResponse(request, "admin/accounts/people/person.html", context)

    def _context(self, request: HttpRequest, **more: Any) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "opts": self.opts, **more}


def _audit(request: HttpRequest, hits: list[Hit]) -> None:
    """Record that people were found by a name or an address, as the display of personal data is."""
    if found := sum(hit.personal for hit in hits):
        audit.record(request.user.get_username(), audit.AuditEntry.Act.REVEAL, "search", people=found)


def _account_facts(person: Person) -> dict[str, Any]:
    """Return what is known of an account only."""
    if person.user is None:
        return {}
    return {
        "has_factor": credentials.has_factor(person.user),
        "sessions": Session.objects.filter(user_id=person.user.pk).count(),
        "changes": person.user.changes.order_by("-at")[:10],
    }
