"""The URLs of the site."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from accounts.pages import front
from accounts.previews import pages as previews
from accounts.sign_in.ratelimit import limit_guesses
from accounts.sites import views as sites
from jobs.admin.pages import overview
from notifier import pages
from notifier.api.app import api
from notifier.developers.pages import developers
from notifier.ops import health, metrics
from notifier.ops.first_use import pages as first_use

admin.autodiscover()
handler500 = "notifier.web.outage.error"
CHANGE_PASSWORD = RedirectView.as_view(pattern_name="account_change_password")  # one form: limited, and emailed

urlpatterns = [
    path("", front.home, name="home"),
    path("help/", front.help_page, name="help"),
    path("language/", include("django.conf.urls.i18n")),
    path("api/", api.urls),
    path("developers/", developers, name="developers"),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics),
    path("admin/address/", admin.site.admin_view(pages.address), name="seen_address"),
    path("admin/mails/", admin.site.admin_view(previews.index), name="mail_previews"),
    path(
        "admin/mails/<str:site>/<str:language>/<str:name>/<str:part>/",
        admin.site.admin_view(previews.show),
        name="mail_preview",
    ),
    path("admin/tables/", admin.site.admin_view(pages.tables), name="all_tables"),
    path("admin/first-use/", admin.site.admin_view(first_use.test), name="first_use"),
    path("admin/login/", limit_guesses("username")(admin.site.login)),
    path("admin/password_change/", CHANGE_PASSWORD),
    path("admin/", admin.site.admin_view(overview.index)),
    path("admin/", admin.site.urls),
    path("accounts/", include("accounts.urls")),
    re_path(r"^brand/(?P<colour>[0-9a-f]{6})\.css$", sites.brand_styles, name="brand_styles"),
]
if settings.ANYMAIL_WEBHOOKS:
    urlpatterns.append(path("anymail/", include("notifier.api.webhooks")))
if settings.DEBUG:
    urlpatterns.append(path("dev/", include("notifier.dev.urls")))
