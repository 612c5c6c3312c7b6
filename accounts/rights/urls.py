"""The pages of a user's rights, below /accounts/."""

from django.urls import path

from accounts.rights import views
from accounts.sign_in.ratelimit import limit_requests

urlpatterns = [
    path("unsubscribe/<str:token>/", views.turn_notices_off, name="unsubscribe"),
    path("data/", views.data, name="data"),
    path("delete/", views.delete, name="delete_account"),
    path("deleting/", views.deleting, name="account_closed"),
    path("cancel/<str:token>/", views.cancel, name="cancel_request"),
    path("lost-factor/", limit_requests()(views.ask_lost_factor_mail), name="ask_lost_factor"),
    path("lost-factor/<str:token>/", views.lost_factor_page, name="lost_factor"),
]
