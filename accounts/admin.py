"""Users and their sign-ins in the Django admin; sign-ins are read-only."""

import ipaddress
from collections.abc import Sequence
from typing import Any

from allauth.account import admin as _addresses  # noqa: F401  (before it is taken out again)
from allauth.account.models import EmailAddress
from allauth.mfa import admin as _factors  # noqa: F401  (before it is taken out again)
from allauth.mfa.models import Authenticator
from allauth.socialaccount import admin as _registers  # noqa: F401  (before they are taken out again)
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts import credentials, privacy
from accounts.changes import record
from accounts.events import admin as _events  # noqa: F401  (registers its pages)
from accounts.mail import dates, user_agents
from accounts.overview.registration import register_panels
from accounts.people.pages import PeoplePages
from accounts.people.person import with_jobs
from accounts.people.search import LONGEST, find_accounts
from accounts.rights.admin import OperatorPages, is_superior
from accounts.rights.forms import OperatorPasswordForm
from accounts.sign_in import closing, sessions
from accounts.sign_in.event import NoticeStatus, SignIn
from accounts.sites.admin import keys as _keys  # noqa: F401  (registers its pages)
from accounts.sites.admin import sites as _sites  # noqa: F401  (registers its pages)
from accounts.suppression import admin as _suppression  # noqa: F401  (registers its pages)
from accounts.user import User
from jobs.admin.parts.capped import CappedPaginator
from jobs.admin.parts.readonly import ReadOnlyAdmin
from jobs.core import audit
from jobs.core.job import JobLog

# GitHub's id and secret are settings (GITHUB_CLIENT_ID) and tokens are not stored, so these pages would be empty.
admin.site.unregister(SocialApp)
admin.site.unregister(SocialToken)
# Their pages would change how a user signs in, without an email, an entry in the history or one in the audit log.
admin.site.unregister(EmailAddress)
admin.site.unregister(SocialAccount)
# Its page shows secrets, and would change factors without an entry in the audit log.
admin.site.unregister(Authenticator)

register_panels()

WHOLE = _(
    "the whole user name, first name, last name, full name, email address or number; for sign-ins, also an IP address"
)
RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")


admin.site.unregister(Group)


@admin.register(Group)
class OperatorGroupAdmin(GroupAdmin):
    filter_horizontal = ()


@admin.register(User)
class AccountAdmin(PeoplePages, OperatorPages, UserAdmin):
    change_password_form = OperatorPasswordForm
    fieldsets = (
        *(UserAdmin.fieldsets or ()),
        (_("Preferences"), {"fields": ("language", "time_zone", "notify_sign_ins")}),
        (_("Dispute"), {"fields": ("suspended",)}),
    )
    readonly_fields = (*UserAdmin.readonly_fields, "suspended", "last_login", "date_joined")
    filter_horizontal = ()  # lists that need no script; Django's have labels that screen readers cannot read
    actions = ("restore_rights",)
    search_help_text = WHOLE
    paginator = CappedPaginator
    show_full_result_count = False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        """Find accounts as the search of the bar does: by complete values, so that an index is used."""
        return _narrow(queryset, search_term, "pk__in"), False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> User | None:
        """Return the account of the page; of a POST locked, so that a dispute meanwhile is not overwritten."""
        user: User | None = super().get_object(request, object_id, from_field)
        if user is not None and request.method == "POST":
            User.objects.select_for_update(no_key=True).get(pk=user.pk)
            user.refresh_from_db()
        return user

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Return the fields that this operator cannot change: none but a superuser gives rights."""
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, *RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and not is_superior(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not is_superior(request, obj)

    @admin.display(description=_("rights suspended by a dispute"))
    def suspended(self, user: User) -> str:
        return ", ".join(user.suspended_rights) or "-"

    @admin.action(description=_("Restore rights that a dispute suspended"), permissions=["restore_rights"])
    def restore_rights(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        """Restore the rights of other operators; never one's own."""
        done = sum(self._restore_rights(request, user) for user in chosen if user != request.user)
        text = ngettext("%(done)d account has its rights again.", "%(done)d accounts have their rights again.", done)
        self.message_user(request, text % {"done": done}, messages.SUCCESS if done else messages.WARNING)

    def _restore_rights(self, request: HttpRequest, user: User) -> bool:
        with transaction.atomic():
            restored = closing.restore_rights(user)
            if restored:
                audit.record(request.user.get_username(), audit.AuditEntry.Act.RESTORE_RIGHTS, f"user {user.pk}")
        return restored

    def has_restore_rights_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save the account; a closed one has no session, and an address that was replaced has no power over it."""
        former = str(form.initial.get("email", "")) if change else ""
        super().save_model(request, obj, form, change)
        credentials.replace_by_operator(obj, former)
        if former and former.lower() != obj.email.lower():
            replaced = credentials.Credential.objects.for_address(obj.pk, former).first()
            record.record_change(obj, record.What.ADDRESS_REMOVED, request, credential=replaced)
        if not obj.is_active:
            sessions.end_sessions(user_id=obj.pk)

    def get_deleted_objects(
        self, objs: Sequence[Any] | QuerySet[Any, Any], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Ask for the permission to delete accounts alone: what belongs to an account goes with it.

        None but a superuser deletes a superuser.
        """
        deleted, counts, _permissions, protected = super().get_deleted_objects(objs, request)
        refused = {str(self.opts.verbose_name)} if any(is_superior(request, user) for user in objs) else set()
        return deleted, counts, refused, protected

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Delete an account and record who did it, in one transaction.

        With the form's `other_sites`, jobs of other sites to its addresses are erased too.
        """
        with transaction.atomic():
            erased = {"erased_jobs_of_other_sites": privacy.erase_other_sites(obj)} if _other_sites(request) else {}
            audit.record(request.user.get_username(), audit.AuditEntry.Act.DELETE_USER, f"user {obj.pk}", **erased)
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Delete the chosen accounts, each with its audit entry, in one transaction."""
        with transaction.atomic():
            for user in queryset:
                self.delete_model(request, user)


@admin.register(EmailAddress)
class EmailAddressAdmin(ReadOnlyAdmin):
    list_display = ("email", "user", "primary", "verified")
    list_filter = ("primary", "verified")
    list_select_related = ("user",)
    search_fields = ("email", "user__username")


@admin.register(SocialAccount)
class SocialAccountAdmin(ReadOnlyAdmin):
    list_display = fields = ("provider", "uid", "user", "date_joined", "last_login")
    list_select_related = ("user",)
    search_fields = ("uid", "user__username")


def _is_ip(term: str) -> bool:
    try:
        ipaddress.ip_address(term)
    except ValueError:
        return False
    return True


def _narrow(queryset: QuerySet[Any], term: str, lookup: str) -> QuerySet[Any]:
    """Return those of the accounts that a term finds; all for an empty one."""
    sought = term.replace("\x00", "").strip()[:LONGEST]
    if not sought:
        return queryset
    return queryset.filter(**{lookup: [person.user_id for person in find_accounts(sought)]})


def _other_sites(request: HttpRequest) -> bool:
    return request.POST.get("other_sites") == "on"


@admin.register(SignIn)
class SignInAdmin(admin.ModelAdmin):
    list_display = ["when", "whose", "ways", "device", "ip", "new_device", "unusual", "notice_now", "disputed"]
    exclude = ["signals", "notice"]
    readonly_fields = ["unusual", "notice_now"]
    list_filter = ["method", "new_device", "notice", ("disputed_at", admin.EmptyFieldListFilter)]
    list_select_related = ["user", "site"]
    search_fields = ["user__username", "user__email", "user_key", "ip"]
    search_help_text = WHOLE
    ordering = ["-at"]
    paginator = CappedPaginator
    show_full_result_count = False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[SignIn], search_term: str
    ) -> tuple[QuerySet[SignIn], bool]:
        """Find the sign-ins of an account, of a user of another site, or from an IP address, by complete values."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if _is_ip(term):
            return queryset.filter(ip=term), False
        of_sites = queryset.filter(site__isnull=False, user_key=term)
        return (of_sites if of_sites.exists() else _narrow(queryset, term, "user__in")), False

    @admin.display(description=_("at"), ordering="at")
    def when(self, sign_in: SignIn) -> str:
        return dates.format_minute(sign_in.at)

    @admin.display(description=_("account"), ordering="user")
    def whose(self, sign_in: SignIn) -> str:
        """Return the account; of another site the site and its user."""
        return f"{sign_in.site}: {sign_in.user_key}" if sign_in.site_id else str(sign_in.user)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow the links to the sign-ins of one user of a site."""
        return lookup in ("site__slug", "user_key") or super().lookup_allowed(lookup, value, request)

    @admin.display(description=_("method"), ordering="method")
    def ways(self, sign_in: SignIn) -> str:
        return sign_in.ways

    @admin.display(description=_("device"), ordering="browser")
    def device(self, sign_in: SignIn) -> str:
        return user_agents.device_name(sign_in.browser, sign_in.system)

    @admin.display(description=_("unusual"))
    def unusual(self, sign_in: SignIn) -> str:
        return "; ".join(sign_in.reasons)

    @admin.display(description=_("notice"), ordering="notice")
    def notice_now(self, sign_in: SignIn) -> str:
        """Return the state of the notice: that of its job, with a link, once it has one."""
        found: JobLog | None = getattr(sign_in, "notice_job", None)
        if sign_in.notice != NoticeStatus.QUEUED:
            return str(sign_in.get_notice_display())
        if found is None:
            return gettext("its job has been deleted")
        state = found.get_status_display()
        label = f"{state}: {found.get_dlq_reason_display()}" if found.dlq_reason else str(state)
        return format_html('<a href="{}">{}</a>', reverse("admin:jobs_joblog_change", args=[found.pk]), label)

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Return the list, with the job of each notice on the page."""
        shown = super().get_changelist_instance(request)
        shown.result_list = with_jobs(shown.result_list)
        return shown

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> SignIn | None:
        """Return the sign-in of the page, with the job of its notice."""
        found = super().get_object(request, object_id, from_field)
        return with_jobs([found])[0] if found else None

    @admin.display(description=_("disputed"), ordering="disputed_at")
    def disputed(self, sign_in: SignIn) -> str | None:
        return dates.format_minute(sign_in.disputed_at) if sign_in.disputed_at else None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: SignIn | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: SignIn | None = None) -> bool:
        return False
