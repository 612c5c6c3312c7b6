"""API keys in the admin: create one (shown once), list them, revoke them; nothing else can be changed."""

from copy import deepcopy
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.sites.keys import ApiKey, Scope
from accounts.sites.site import Site
from accounts.user import User

ADMIN_PERMISSIONS = ("jobs.view_joblog", "jobs.replay_joblog", "jobs.discard_joblog")  # what the scope admin allows


class ApiKeyForm(forms.ModelForm):
    """The form of a new key."""

    scopes = forms.MultipleChoiceField(label=_("Scopes"), choices=Scope, widget=forms.CheckboxSelectMultiple)
    expires_at = forms.DateTimeField(
        label=_("Expires"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text=_("Leave it empty for a key that never expires."),
    )

    class Meta:
        model = ApiKey
        fields = ("site", "name", "scopes", "expires_at")
        help_texts = {
            "site": _("The site whose users get the notices. The keys of a site see the same jobs."),
            "name": _("A label for this list and for the audit, for example “shop-2026”."),
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "site" in self.fields:  # not on the page of a key, which cannot be changed
            cast(forms.ModelChoiceField, self.fields["site"]).queryset = Site.objects.others()

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at and expires_at <= timezone.now():
            raise forms.ValidationError(_("This time is in the past."))
        return expires_at


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    """The pages of keys."""

    form = ApiKeyForm
    list_display = (
        "name",
        "site",
        "start",
        "scope_names",
        "state",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_select_related = ("site",)
    search_fields = ("name", "prefix")
    actions = ("revoke",)
    list_per_page = 50

    @admin.display(description=_("starts with"))
    def start(self, key: ApiKey) -> str:
        return f"nk_{key.prefix}_…"

    @admin.display(description=_("scopes"))
    def scope_names(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description=_("valid"), boolean=True)
    def state(self, key: ApiKey) -> bool:
        return key.usable

    @admin.action(description=_("Revoke the selected keys"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        done = sum(key.revoke(who=request.user.get_username()) for key in chosen)
        text = ngettext("%(done)d key was revoked.", "%(done)d keys were revoked.", done) % {"done": done}
        self.message_user(request, text, messages.SUCCESS if done else messages.WARNING)

    def get_form(self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **options: Any) -> Any:
        """Return the form; it offers the scope admin to those alone who may do themselves what such a key does."""
        form = super().get_form(request, obj, change, **options)
        if "scopes" in form.base_fields and not request.user.has_perms(ADMIN_PERMISSIONS):
            scopes = cast(forms.MultipleChoiceField, deepcopy(form.base_fields["scopes"]))
            scopes.choices = [choice for choice in Scope.choices if choice[0] != Scope.ADMIN]
            form.base_fields["scopes"] = scopes
        return form

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the form without the buttons that would lead away from the new key."""
        plain = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, plain | (extra_context or {}))

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Create the key; its token exists in this request only."""
        user = cast(User, request.user)
        token = ApiKey.objects.make(
            obj.name, obj.scopes, who=user.get_username(), expires_at=obj.expires_at, made_by=user, site=obj.site
        )
        obj.__dict__.update(ApiKey.objects.find(token).__dict__)
        obj.token = token  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """Show the key in the response itself: a redirect would have to store it."""
        context = {**self.admin_site.each_context(request), "opts": self.opts, "key": obj, "title": _("New API key")}
        return TemplateResponse(
            request, "admin/accounts/apikey/made.html", context, headers={"Cache-Control": "no-store"}
        )

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.revoke_apikey")

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False
