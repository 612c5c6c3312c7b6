"""Operators' pages about a user's rights: export, return of a former address, lost second factor, pending requests."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts import credentials, privacy
from accounts.mail import dates
from accounts.pending import flow
from accounts.pending.request import OPERATOR_HOURS, PendingRequest
from accounts.rights import lost_factor, restore
from accounts.rights.forms import OperatorExportForm, OperatorForm, RestoreForm
from accounts.user import User
from jobs.admin.parts.readonly import ReadOnlyAdmin
from jobs.core import audit
from jobs.core.sql.keys import parse_key

TEMPLATE = "admin/accounts/user/act.html"
REQUEST_PAGE = "admin:accounts_pendingrequest_change"


def is_superior(request: HttpRequest, user: User | None) -> bool:
    """Return whether an account belongs to a superuser and the operator is not one."""
    return user is not None and user.is_superuser and not request.user.is_superuser


class OperatorPages(admin.ModelAdmin):
    """The pages with which an operator acts on one account; each asks for a reason and writes an audit entry."""

    change_form_template = "admin/accounts/user/change_form.html"
    delete_confirmation_template = "admin/accounts/user/delete.html"

    def get_urls(self) -> list[URLPattern]:
        pages: dict[str, Callable[..., HttpResponse]] = {
            "export": self._export,
            "restore": self._restore,
            "remove-factors": self._remove_factors,
        }
        own = [
            path(f"<int:pk>/{name}/", self.admin_site.admin_view(view), name=f"accounts_user_{name.replace('-', '_')}")
            for name, view in pages.items()
        ]
        return [*own, *super().get_urls()]

    def _export(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the page; a POST returns the account's data as a file."""
        user = self._account(request, pk, "accounts.export_user")
        form = OperatorExportForm(request.POST or None)
        if not form.is_valid():
            return self._page(request, user, form, _("Export the data of an account"), _("Export"))
        other_sites, reason = form.cleaned_data["other_sites"], form.cleaned_data["reason"]
        with transaction.atomic():
            act = audit.AuditEntry.Act.EXPORT_USER
            audit.record(request.user.get_username(), act, f"user {pk}", why=reason, other_sites=other_sites)
            content = privacy.export_json(user, other_sites=other_sites)
        name = f'attachment; filename="account-{pk}.json"'
        return HttpResponse(content, content_type="application/json", headers={"Content-Disposition": name})

    def _restore(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the page; a POST asks for the return of a former address."""
        user = self._account(request, pk, "accounts.restore_user")
        form = RestoreForm(request.POST or None, user=user)
        if not form.is_valid():
            explained = _(
                "For an owner whose account another person took over. Everyone is emailed, and nothing happens for "
                "%(hours)s hours: each address that is older than the takeover can stop it. Then the address returns, "
                "sessions and password end, and the owner gets a recovery link."
            )
            hours = {"hours": OPERATOR_HOURS}
            return self._page(request, user, form, _("Return a former address"), _("Request it"), explained % hours)
        chosen = form.cleaned_data
        asked = restore.ask(
            user, chosen["former"], chosen["since"], operator=request.user.get_username(), reason=chosen["reason"]
        )
        return self._asked(request, user, asked)

    def _remove_factors(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the page; a POST asks for the removal of a lost second factor."""
        user = self._account(request, pk, "accounts.remove_factors")
        form = OperatorForm(request.POST or None)
        if not form.is_valid():
            explained = _(
                "For a user who lost the second factor and the recovery codes. Everyone is emailed, and nothing "
                "happens for %(hours)s hours: each address of the account, and any sign-in with the "
                "factor, can stop it."
            ) % {"hours": OPERATOR_HOURS}
            return self._page(request, user, form, _("Remove a lost second factor"), _("Request it"), explained)
        reason = form.cleaned_data["reason"]
        asked = lost_factor.ask_by_operator(user, operator=request.user.get_username(), reason=reason)
        return self._asked(request, user, asked)

    def _account(self, request: HttpRequest, pk: int, permission: str) -> User:
        """Return the account; raise PermissionDenied or Http404. No operator acts on a superuser but a superuser."""
        user = get_object_or_404(User, pk=pk)
        if is_superior(request, user) or not (
            self.has_view_permission(request, user) and request.user.has_perm(permission)
        ):
            raise PermissionDenied
        return user

    def _page(
        self, request: HttpRequest, user: User, form: Form, title: str, button: str, explained: str = ""
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": user,
            "form": form,
            "title": title,
            "button": button,
            "explained": explained,
        }
        return TemplateResponse(request, TEMPLATE, context)

    def _asked(self, request: HttpRequest, user: User, asked: bool) -> HttpResponse:
        if asked:
            messages.success(request, _("The request is waiting. Everyone concerned is emailed."))
        else:
            messages.warning(request, _("Nothing was done: such a request is waiting, or there is nothing to do."))
        return HttpResponseRedirect(reverse("admin:accounts_user_change", args=[user.pk]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the account with the buttons of this operator's pages."""
        user = None if (key := parse_key(object_id)) is None else User.objects.filter(pk=key).first()
        more = {"has_factors": user is not None and credentials.has_factor(user)}
        return super().change_view(request, object_id, form_url, {**more, **(extra_context or {})})


@admin.register(PendingRequest)
class PendingRequestAdmin(ReadOnlyAdmin):
    """What waits, and for how long; an operator with the permission cancels it."""

    list_display = ("kind", "user", "operator", "asked", "due", "state")
    list_filter = ("kind", ("done_at", admin.EmptyFieldListFilter), ("cancelled_at", admin.EmptyFieldListFilter))
    list_select_related = ("user",)
    list_per_page = 50
    fields = ("kind", "user", "operator", "reason", "address", "since", "asked_at", "due_at", "state", "notices")
    change_form_template = "admin/accounts/pendingrequest/request.html"

    def get_urls(self) -> list[URLPattern]:
        cancel = self.admin_site.admin_view(require_POST(transaction.atomic(self._cancel)))
        return [path("<int:pk>/cancel/", cancel, name="accounts_pendingrequest_cancel"), *super().get_urls()]

    @admin.display(description=gettext_lazy("asked"), ordering="asked_at")
    def asked(self, request: PendingRequest) -> str:
        return dates.format_minute(request.asked_at)

    @admin.display(description=gettext_lazy("takes effect"), ordering="due_at")
    def due(self, request: PendingRequest) -> str:
        return dates.format_minute(request.due_at)

    @admin.display(description=gettext_lazy("state"))
    def state(self, request: PendingRequest) -> str:
        return _("waits") if request.waits else _("cancelled") if request.cancelled_at else _("done")

    def _cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Cancel a request, with its audit entry in the same transaction."""
        found = get_object_or_404(PendingRequest, pk=pk)
        if not (self.has_view_permission(request) and request.user.has_perm("accounts.cancel_pendingrequest")):
            raise PermissionDenied
        if flow.cancel(found):
            who, act = request.user.get_username(), audit.AuditEntry.Act.CANCEL_REQUEST
            audit.record(who, act, f"user {found.user_id}", request=pk, kind=found.kind)
            messages.success(request, _("The request is cancelled. Everyone concerned is emailed."))
        else:
            messages.warning(request, _("Nothing was done: the request was already carried out or cancelled."))
        return HttpResponseRedirect(reverse(REQUEST_PAGE, args=[pk]))
