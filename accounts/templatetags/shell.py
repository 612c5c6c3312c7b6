"""The bar above every page of the administration: its main pages in the order of tasks, and whether all is well."""

from dataclasses import dataclass
from typing import Any

from django import template
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

register = template.Library()


@dataclass(frozen=True)
class Page:
    """A main page. key: what follows `g` on the keyboard."""

    label: str | Promise
    key: str
    view: str
    permission: str = ""


PAGES = (
    Page(_("Overview"), "o", "admin:index"),
    Page(_("Jobs"), "j", "admin:jobs_joblog_changelist", "jobs.view_joblog"),
    Page(_("Dead letters"), "d", "admin:jobs_joblog_dead", "jobs.view_joblog"),
    Page(_("People"), "p", "admin:accounts_user_changelist", "accounts.view_user"),
    Page(_("Sites"), "s", "admin:accounts_site_changelist", "accounts.view_site"),
    Page(_("Sending"), "e", "admin:jobs_jobtypestate_changelist", "jobs.view_jobtypestate"),
    Page(_("Schedules"), "c", "admin:jobs_schedulestate_changelist", "jobs.view_schedulestate"),
    Page(_("Workers"), "w", "admin:jobs_cluster_changelist", "jobs.view_cluster"),
    Page(_("Alerts"), "l", "admin:jobs_alertstate_changelist", "jobs.view_alertstate"),
    Page(_("Audit"), "a", "admin:jobs_auditentry_changelist", "jobs.view_auditentry"),
)
"""In the order of an operator's tasks: look, find the fault, find the person, act, and see who did what."""


@dataclass(frozen=True)
class Link:
    """A main page as a link of this page."""

    label: str
    key: str
    path: str
    current: bool


@register.simple_tag
def shell_links(request: HttpRequest) -> list[Link]:
    """Return the main pages that this operator may see; the current one is that whose path is the longest match."""
    may = request.user.has_perm
    shown = [(page, reverse(page.view)) for page in PAGES if not page.permission or may(page.permission)]
    here = max((path for _page, path in shown if request.path.startswith(path)), key=len, default="")
    exact = here != reverse("admin:index") or request.path == here
    return [Link(str(page.label), page.key, path, exact and path == here) for page, path in shown]


@register.simple_tag
def tables_link(request: HttpRequest) -> Link:
    """Return the link to Django's pages of every model."""
    path = reverse("all_tables")
    return Link(str(_("All tables")), "", path, request.path == path)


@register.inclusion_tag("admin/accounts/health.html", takes_context=True)
def health(context: template.Context) -> dict[str, Any]:
    """Return the first thing that is wrong, with the page of its cause, or that nothing is."""
    from jobs.admin.panels import present  # a worker loads every library of tags, and no page

    now = present.load(context["request"])
    if not now.alive:
        tone, label = ("soon", _("No worker yet")) if now.fresh else ("bad", _("No worker"))
        return {"tone": tone, "label": label, "path": reverse("admin:jobs_cluster_changelist")}
    if now.pauses:
        return {"tone": "soon", "label": _("Paused"), "path": reverse("admin:jobs_jobtypestate_changelist")}
    if now.suspended:
        return {"tone": "bad", "label": _("A breaker is open"), "path": reverse("admin:jobs_jobtypestate_changelist")}
    if now.has_dead_letters:
        return {"tone": "soon", "label": _("Dead letters"), "path": reverse("admin:jobs_joblog_dead")}
    return {"tone": "", "label": _("All is well"), "path": reverse("admin:index")}
