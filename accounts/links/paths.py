"""Paths of the pages that emails link to, as `reverse` returns them, without the views of the site.

The URLs of the site import every view, the API and the administration: half of the memory of a worker, which serves no
page. A test compares these paths with the site's.
"""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import NoReverseMatch, include, path, re_path, reverse


def _no_page(_request: HttpRequest, **_: Any) -> HttpResponse:
    """Stand for the view of the site, which serves these paths."""
    raise Http404


ACCOUNT = [
    path("activity/", _no_page, name="activity"),
    path("preferences/", _no_page, name="preferences"),
    path("not-me/<str:token>/", _no_page, name="dispute"),
    path("notices/off/<str:token>/", _no_page, name="unsubscribe_site"),
    path("unsubscribe/<str:token>/", _no_page, name="unsubscribe"),
    path("cancel/<str:token>/", _no_page, name="cancel_request"),
    path("lost-factor/<str:token>/", _no_page, name="lost_factor"),
    re_path(r"^confirm-email/(?P<key>[-:\w]+)/$", _no_page, name="account_confirm_email"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$", _no_page, name="account_reset_password_from_key"
    ),
]
ADMIN = [
    path("accounts/signin/", _no_page, name="accounts_signin_changelist"),
    path("accounts/signin/<path:object_id>/change/", _no_page, name="accounts_signin_change"),
]
urlpatterns = [
    path("accounts/", include(ACCOUNT)),
    path("developers/", _no_page, name="developers"),
    path("admin/", include((ADMIN, "admin"))),
    path("api/", include(([path("docs", _no_page, name="openapi-view")], "api"))),
]


def path_of(name: str, *args: Any, **kwargs: Any) -> str:
    """Return the path of a page by the name of its URL, as `reverse` does. Raises NoReverseMatch."""
    try:
        return reverse(name, __name__, args, kwargs)
    except NoReverseMatch:
        return reverse(name, args=args, kwargs=kwargs)
