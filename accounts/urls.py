"""The URLs of a user's account; all others are allauth's."""

from allauth.account import views as allauth
from allauth.socialaccount import views as socialaccount
from django.urls import include, path, re_path

from accounts import views
from accounts.changes import views as changes
from accounts.changes.fresh import ask_before, ask_first
from accounts.credentials import has_factor
from accounts.pages.notices import notices
from accounts.pages.security import security
from accounts.secrecy import fernet  # noqa: F401  (before the first request)
from accounts.sign_in.ratelimit import limit_guesses, limit_requests
from accounts.sites import views as sites

changing_password = ask_before(when=has_factor)(allauth.password_change)
changing_addresses = ask_before("action_add", "action_primary", "action_remove", "action_replace")(
    views.email_addresses
)
SENDING = ("action_add", "action_send", "action_replace")  # buttons that have an email sent

urlpatterns = [
    path("login/", limit_guesses("login")(allauth.login), name="account_login"),
    path("signup/", limit_requests()(allauth.signup), name="account_signup"),
    path("password/reset/", limit_requests()(allauth.password_reset), name="account_reset_password"),
    path("password/change/", limit_guesses(password="oldpassword")(changing_password)),  # noqa: S106
    path("password/set/", ask_first(allauth.password_set)),
    re_path(r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$", changes.reset_from_key),
    path("3rdparty/", ask_before()(socialaccount.connections)),
    path("reauthenticate/", limit_guesses()(allauth.reauthenticate)),
    path("3rdparty/signup/", limit_requests()(socialaccount.signup)),
    path("github/login/callback/", views.github_callback, name="github_callback"),
    path("email/", limit_requests(only=SENDING)(changing_addresses), name="account_email"),
    path("email/works-again/", views.address_works, name="address_works"),
    path("activity/", views.activity, name="activity"),
    path("activity/end-all/", views.end_all_sessions, name="end_all_sessions"),
    path("activity/<uuid:sign_in>/end/", views.end_session, name="end_session"),
    path("activity/<uuid:sign_in>/not-me/", changes.report_from_inside, name="report_from_inside"),
    path("changes/", changes.changes, name="account_changes"),
    path("changes/rights/", changes.restore_rights, name="restore_rights"),
    path("changes/<uuid:change>/", changes.dispute_change, name="dispute_change"),
    path("changes/held/<int:entry>/", changes.decide, name="decide"),
    path("check/", changes.check_user, name="check_user"),
    path("check/github/", changes.check_with_github, name="check_with_github"),
    path("devices/<int:device>/forget/", views.forget_device, name="forget_device"),
    path("security/", security, name="security"),
    path("notices/", notices, name="notices"),
    path("preferences/", views.preferences, name="preferences"),
    path("notices/off/<str:token>/", sites.unsubscribe, name="unsubscribe_site"),
    path("not-me/<str:token>/", views.dispute, name="dispute"),
    path("2fa/", include("accounts.factors.urls")),
    path("", include("accounts.rights.urls")),
    path("", include("allauth.urls")),
]
