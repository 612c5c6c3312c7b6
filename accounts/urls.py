"""The pages of a person's account; what is not here is allauth's."""

from allauth.account import views as allauth
from django.urls import include, path

from accounts import views
from accounts.limits import limited

urlpatterns = [
    path("login/", limited("sign-in")(allauth.login), name="account_login"),
    path("signup/", limited("sign-up", per_name=False)(allauth.signup), name="account_signup"),
    path("password/reset/", limited("password-reset")(allauth.password_reset), name="account_reset_password"),
    path("password/change/", limited("password", per_name=False)(allauth.password_change)),
    path("reauthenticate/", limited("password", per_name=False)(allauth.reauthenticate)),
    path("github/login/callback/", views.github_callback, name="github_callback"),
    path("email/", views.email_addresses, name="account_email"),
    path("email/works-again/", views.address_works, name="address_works"),
    path("activity/", views.activity, name="activity"),
    path("activity/end-all/", views.end_all_sessions, name="end_all_sessions"),
    path("activity/<uuid:sign_in>/end/", views.end_session, name="end_session"),
    path("activity/<uuid:sign_in>/not-me/", views.dispute_own, name="dispute_own"),
    path("devices/<int:device>/forget/", views.forget_device, name="forget_device"),
    path("preferences/", views.preferences, name="preferences"),
    path("not-me/<str:token>/", views.dispute, name="dispute"),
    path("", include("allauth.urls")),
]
