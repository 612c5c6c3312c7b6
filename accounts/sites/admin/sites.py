"""Sites in the admin: their fields, with a preview of both emails; their numbers of 7 and 30 days; their keys."""

from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from accounts.sites.admin import preview, statistics
from accounts.sites.site import Site
from accounts.sites.validators import check_slug
from jobs.admin.parts.preview import Preview, frame_response, languages
from jobs.core import audit
from jobs.core.audit import AuditEntry

KEYS_SHOWN = 20


class SiteForm(forms.ModelForm):
    """The values of a site."""

    language = forms.ChoiceField(label=gettext_lazy("Language"), required=False)

    class Meta:
        model = Site
        fields = (
            *("slug", "name", "url", "secure_url", "support_email", "sender", "colour"),
            *("language", "time_zone", "per_hour", "link_host", "test_mode"),
        )
        help_texts = {
            "slug": gettext_lazy("The source of its jobs, for example “shop”. It cannot be changed later."),
            "name": gettext_lazy("As its users know it. Subjects and emails contain it."),
            "url": gettext_lazy("The address of its home page, for example https://shop.example."),
            "secure_url": gettext_lazy("Where a user goes after “This wasn't me”. Without one: its URL."),
            "support_email": gettext_lazy("For the questions of its users, and for us to report a dispute to."),
            "colour": gettext_lazy("Of the mark and the button, for example #0055aa."),
            "time_zone": gettext_lazy("Of notices whose request names none, for example Asia/Ulaanbaatar."),
            "per_hour": gettext_lazy("More are refused with 429. Alerts have a limit of their own."),
            "link_host": gettext_lazy(
                "A host name of the site that leads here (CNAME), for the links in its emails. "
                "It must be in ALLOWED_HOSTS."
            ),
            "test_mode": gettext_lazy("Limits, jobs and events work; the emails are rendered and not sent."),
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "language" in self.fields:
            default = _("As this site: %s") % dict(settings.LANGUAGES)[settings.LANGUAGE_CODE]
            cast(forms.ChoiceField, self.fields["language"]).choices = [("", default), *settings.LANGUAGES]
            self.fields["language"].help_text = _("Of notices whose request names none.")
        if "sender" in self.fields:  # not on the page of this site, which cannot be changed
            self.fields["sender"].help_text = _(
                "Its name, then the address in angle brackets; the domain must be one of SENDER_DOMAINS: %s. "
                "Without one: its name, with the address of this site."
            ) % ", ".join(settings.SENDER_DOMAINS)

    def clean_slug(self) -> str:
        """Refuse a slug that no source may have."""
        slug: str = self.cleaned_data["slug"]
        check_slug(slug)
        return slug


class SiteList(ChangeList):
    """A page of sites with their notices of a day, counted with one statement."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        for site, count in zip(self.result_list, statistics.count_notices(self.result_list), strict=True):
            site.notices = count


@admin.register(Site)
class SiteAdmin(admin.ModelAdmin):
    """The pages of sites."""

    form = SiteForm
    fields = SiteForm.Meta.fields
    list_display = ("slug", "name", "mode", "usable_keys", "notices")
    search_fields = ("slug", "name")
    list_per_page = 50
    actions = None
    show_full_result_count = False
    change_list_template = "admin/accounts/site/list.html"
    change_form_template = add_form_template = "admin/accounts/site/site.html"

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        mail = "email/<str:kind>/<str:language>/"
        return [
            path(mail, guard(require_POST(self._preview_form)), name="accounts_site_try_new"),
            path(f"<int:pk>/{mail}", guard(require_POST(self._preview_form)), name="accounts_site_try"),
            path(f"<int:pk>/{mail}<str:part>/", guard(require_GET(self._preview)), name="accounts_site_email"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Site]:
        usable = Q(keys__revoked_at=None) & (Q(keys__expires_at=None) | Q(keys__expires_at__gt=Now()))
        return super().get_queryset(request).annotate(key_count=Count("keys", filter=usable))

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:
        return SiteList

    @admin.display(description=gettext_lazy("mode"), ordering="test_mode")
    def mode(self, site: Site) -> str:
        if site.test_mode:
            return format_html('<span class="pill waiting">{}</span>', _("test mode"))
        return _("this site") if site.own else ""

    @admin.display(description=gettext_lazy("usable keys"), ordering="key_count")
    def usable_keys(self, site: Any) -> int:
        return cast(int, site.key_count)

    @admin.display(description=gettext_lazy("notices in 24 h"))
    def notices(self, site: Any) -> str:
        return cast(str, site.notices)

    def get_readonly_fields(self, request: HttpRequest, obj: Site | None = None) -> tuple[str, ...]:
        return () if obj is None else ("slug",)

    def has_change_permission(self, request: HttpRequest, obj: Site | None = None) -> bool:
        """Return False for this site: its values are the settings."""
        return (obj is None or not obj.own) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Site | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Site, form: forms.ModelForm, change: bool) -> None:
        """Save the site and its audit entry; the admin's own transaction holds both."""
        super().save_model(request, obj, form, change)
        who = request.user.get_username()
        if not change:
            audit.record(who, AuditEntry.Act.CREATE_SITE, obj.slug)
        elif form.changed_data:
            audit.record(who, AuditEntry.Act.CHANGE_SITE, obj.slug, fields=form.changed_data)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **options: Any) -> HttpResponse:
        """Add the preview, the numbers and the keys to the page."""
        site: Site | None = options.get("obj")
        context |= {"choices": [(*kind, language) for kind in preview.Kind.choices for language in languages()]}
        if site is not None:
            context |= {
                "mails": [(*kind, preview.render(site, kind[0], language)) for *kind, language in context["choices"]],
                "rows": [] if site.own else statistics.load_rows(site),
                "keys": site.keys.all()[:KEYS_SHOWN] if request.user.has_perm("accounts.view_apikey") else None,
            }
        return super().render_change_form(request, context, *args, **options)

    def _preview(self, request: HttpRequest, pk: int, kind: str, language: str, part: str) -> HttpResponse:
        """GET: return an email with the saved values, for the frame."""
        site = self.get_object(request, str(pk))
        if site is None or part not in ("html", "text"):
            raise Http404
        if not self.has_view_permission(request, site):
            raise PermissionDenied
        mail = self._render(site, kind, language)
        return frame_response(mail.html if part == "html" else mail.text, part)

    def _preview_form(self, request: HttpRequest, kind: str, language: str, pk: int | None = None) -> HttpResponse:
        """POST the form: return an email with its values, for the frame, or what is wrong with them. Save nothing."""
        site = None if pk is None else self.get_object(request, str(pk))
        if pk is not None and site is None:
            raise Http404
        allowed = self.has_change_permission(request, site) if site else self.has_add_permission(request)
        if not allowed:
            raise PermissionDenied
        form = self.get_form(request, site, change=site is not None)(request.POST, instance=site)
        if not form.is_valid():
            faults = [f"{form.fields[name].label}: {' '.join(map(str, texts))}" for name, texts in form.errors.items()]
            return frame_response("\n".join([_("There is no preview until these are right:"), "", *faults]), "text")
        return frame_response(self._render(form.instance, kind, language).html, "html")

    def _render(self, site: Site, kind: str, language: str) -> Preview:
        if kind not in preview.Kind.values or language not in languages():
            raise Http404
        return preview.render(site, kind, language)
