"""API keys in the admin: make one (it is shown once), list them, revoke them. Nothing else can be changed."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from jobs.api_keys import ApiKey, Scope


class ApiKeyForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(label=_("Scopes"), choices=Scope, widget=forms.CheckboxSelectMultiple)

    class Meta:
        model = ApiKey
        fields = ("name", "scopes", "expires_at")
        help_texts = {
            "name": _("The source of its jobs, for example “shop”. Keys of one name see the same jobs."),
            "expires_at": _("Empty: it never expires."),
        }

    def clean_expires_at(self) -> Any:
        moment = self.cleaned_data["expires_at"]
        if moment and moment <= timezone.now():
            raise forms.ValidationError(_("This moment is over."))
        return moment


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    form = ApiKeyForm
    list_display = ("name", "start", "scope_names", "state", "created_at", "expires_at", "last_used_at", "revoked_at")
    search_fields = ("name", "prefix")
    actions = ("revoke",)
    list_per_page = 50

    @admin.display(description=_("starts with"))
    def start(self, key: ApiKey) -> str:
        return f"nk_{key.prefix}_…"

    @admin.display(description=_("scopes"))
    def scope_names(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description=_("usable"), boolean=True)
    def state(self, key: ApiKey) -> bool:
        return key.usable

    @admin.action(description=_("Revoke the chosen keys"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        done = sum(key.revoke(who=request.user.get_username()) for key in chosen)
        told = ngettext("%(done)d key was revoked.", "%(done)d keys were revoked.", done) % {"done": done}
        self.message_user(request, told, messages.SUCCESS if done else messages.WARNING)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Without the buttons that would lead away from the new key."""
        plain = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, plain | (extra_context or {}))

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Makes the key; the token stays in this request alone."""
        who = request.user.get_username()
        token = ApiKey.objects.make(obj.name, obj.scopes, who=who, expires_at=obj.expires_at)
        obj.__dict__.update(ApiKey.objects.find(token).__dict__)
        obj.token = token  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """The page that shows the key: no redirect, so that it is stored nowhere on its way."""
        context = {**self.admin_site.each_context(request), "opts": self.opts, "key": obj, "title": _("A new API key")}
        return TemplateResponse(request, "admin/jobs/apikey/made.html", context, headers={"Cache-Control": "no-store"})

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.revoke_apikey")

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False
