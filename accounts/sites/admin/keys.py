"""API keys in the admin: create one (shown once), list them, rotate and revoke them; nothing else can be changed."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.sites.admin import rotation
from accounts.sites.admin.fields import EndField
from accounts.sites.admin.rotation import ADMIN_PERMISSIONS
from accounts.sites.keys import ApiKey, Purpose, Scope
from accounts.sites.site import Site
from accounts.user import User

CHOSEN = ""  # the purpose of a key whose scopes are chosen one by one
PURPOSES = [
    *(
        (purpose.value, format_lazy("{} ({}): {}", purpose.label, ", ".join(purpose.scopes), purpose.explanation))
        for purpose in Purpose
    ),
    (CHOSEN, gettext_lazy("Other: the scopes that are chosen below")),
]


class ApiKeyForm(forms.ModelForm):
    """The form of a new key."""

    purpose = forms.ChoiceField(
        label=gettext_lazy("What it is for"),
        choices=PURPOSES,
        required=False,
        initial=Purpose.SEND.value,
        widget=forms.RadioSelect,
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Scopes"),
        choices=Scope,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Only for “Other”."),
    )
    expires_at = EndField(help_text=gettext_lazy("Leave it empty for a key that never expires."))

    class Meta:
        model = ApiKey
        fields = ("site", "name", "scopes", "expires_at")
        help_texts = {
            "site": gettext_lazy("The site whose users get the notices. The keys of a site see the same jobs."),
            "name": gettext_lazy("A label for this list and for the audit, for example “shop-2026”."),
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "site" in self.fields:  # not on the page of a key, which cannot be changed
            cast(forms.ModelChoiceField, self.fields["site"]).queryset = Site.objects.others()

    def clean(self) -> dict[str, Any]:
        """Put the scopes of the purpose in the place of those that are chosen one by one."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if "purpose" in cleaned and cleaned["purpose"] != CHOSEN:
            cleaned["scopes"] = Purpose(cleaned["purpose"]).scopes
        elif "scopes" in cleaned and not cleaned["scopes"]:
            self.add_error("scopes", _("Choose at least one scope."))
        return cleaned


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    """The pages of keys."""

    form = ApiKeyForm
    list_display = (
        *("name", "site", "start", "scope_names", "state", "created_at"),
        *("expires_at", "last_used_at", "replaced_by", "revoked_at"),
    )
    list_select_related = ("site", "replaced_by")
    search_fields = ("name", "prefix")
    actions = ("revoke",)
    list_per_page = 50
    change_form_template = "admin/accounts/apikey/key.html"
    add_form_template = "admin/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        rotate: Callable[..., HttpResponse] = self.admin_site.admin_view(self._rotate)
        return [path("<int:pk>/rotate/", rotate, name="accounts_apikey_rotate"), *super().get_urls()]

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        new = ("site", "name", "purpose", "scopes", "expires_at")
        shown = ("site", "name", "start", "scope_names", "state", "created_at", "expires_at", "last_used_at")
        return new if obj is None else (*shown, "replaced_by", "revoked_at", "made_by")

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return () if obj is None else self.get_fields(request, obj)

    @admin.display(description=gettext_lazy("starts with"))
    def start(self, key: ApiKey) -> str:
        return key.start

    @admin.display(description=gettext_lazy("scopes"))
    def scope_names(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description=gettext_lazy("valid"), boolean=True)
    def state(self, key: ApiKey) -> bool:
        return key.usable

    @admin.action(description=gettext_lazy("Revoke the selected keys"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        done = sum(key.revoke(who=request.user.get_username()) for key in chosen)
        text = ngettext("%(done)d key was revoked.", "%(done)d keys were revoked.", done) % {"done": done}
        self.message_user(request, text, messages.SUCCESS if done else messages.WARNING)

    def get_form(self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **options: Any) -> Any:
        """Return the form; it offers the scope admin to those alone who may do themselves what such a key does."""
        form = super().get_form(request, obj, change, **options)
        if not request.user.has_perms(ADMIN_PERMISSIONS):
            _leave_out(form, "scopes", Scope.ADMIN.value)
            _leave_out(form, "purpose", Purpose.OPERATE.value)
        return form

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the form without the buttons that would lead away from the new key."""
        plain = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, plain | (extra_context or {}))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the key with the button that rotates it."""
        key = self.get_object(request, object_id)
        shown = {"may_rotate": isinstance(key, ApiKey) and key.may_rotate and rotation.may_rotate(request, key)}
        return super().change_view(request, object_id, form_url, shown | (extra_context or {}))

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
        return self._show(request, cast(Any, obj).token)

    def _rotate(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET: ask when the old key ends. POST: rotate the key, and show the new one, once."""
        key = get_object_or_404(ApiKey.objects.select_related("site"), pk=pk)
        rotation.require_rotation(request, key)
        form = rotation.RotationForm(key, request.POST if request.method == "POST" else None)
        if form.is_valid() and (token := form.rotate(cast(User, request.user))):
            key.refresh_from_db()
            return self._show(request, token, old=key)
        context = {"key": key, "form": form, "title": _("Rotate the key %s") % key}
        return TemplateResponse(request, "admin/accounts/apikey/rotate.html", self._page(request, **context))

    def _show(self, request: HttpRequest, token: str, **more: Any) -> HttpResponse:
        key = cast(Any, ApiKey.objects.find(token))
        key.token = token
        context = {"key": key, "url": settings.SITE_URL.rstrip("/"), "title": _("New API key"), **more}
        return TemplateResponse(
            request,
            "admin/accounts/apikey/made.html",
            self._page(request, **context),
            headers={"Cache-Control": "no-store"},
        )

    def _page(self, request: HttpRequest, **context: Any) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "opts": self.opts, **context}

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.revoke_apikey")

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False


def _leave_out(form: Any, name: str, value: str) -> None:
    """Take a choice out of a field of a form class, which other requests do not share."""
    if name in form.base_fields:
        field = deepcopy(form.base_fields[name])
        field.choices = [choice for choice in field.choices if choice[0] != value]
        form.base_fields[name] = field
