"""The addresses of second factors that differ from allauth's own; `accounts.urls` includes them before allauth's."""

from allauth.mfa.base import views as allauth
from django.urls import path
from django.views.generic import RedirectView

from accounts.factors import views
from accounts.sign_in.ratelimit import limit_challenges, limit_guesses

urlpatterns = [
    path("", views.factors, name="mfa_index"),
    path("authenticate/", limit_guesses(views.user_signing_in, password="code")(views.second_step)),  # noqa: S106
    path("reauthenticate/", limit_guesses(password="code")(allauth.reauthenticate)),  # noqa: S106
    path("totp/activate/", views.add_app),
    path("totp/picture/", views.picture, name="factor_picture"),
    path("totp/deactivate/", views.remove_app),
    path("recovery-codes/", views.show_codes),
    path("recovery-codes/generate/", views.make_codes),
    path("webauthn/", RedirectView.as_view(pattern_name="mfa_index")),
    path("webauthn/add/", views.add_passkey),
    path("webauthn/login/", limit_challenges(views.passkey_sign_in)),
    path("webauthn/reauthenticate/", views.passkey_again),
    path("webauthn/keys/<int:pk>/remove/", views.remove_passkey),
]
