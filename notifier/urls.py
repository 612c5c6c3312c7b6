"""Every address of the site."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from accounts import views as accounts
from accounts.limits import limited
from jobs.admin import overview
from notifier import health, metrics, pages
from notifier.api.site import api

urlpatterns = [
    path("", accounts.home, name="home"),
    path("language/", include("django.conf.urls.i18n")),
    path("api/", api.urls),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics),
    path("admin/address/", pages.address, name="seen_address"),
    path("admin/login/", limited("sign-in")(admin.site.login)),
    path("admin/", admin.site.admin_view(overview.index)),
    path("admin/", admin.site.urls),
    path("accounts/", include("accounts.urls")),
]
if settings.ANYMAIL_WEBHOOKS:
    urlpatterns.append(path("anymail/", include("notifier.webhooks")))
if settings.DEBUG:
    urlpatterns.append(path("dev/", include("notifier.dev.urls")))
