"""The URLs below /dev/, which exist only with DEBUG."""

from django.urls import path, re_path
from django.views.generic import RedirectView

from notifier.dev import views

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="mailbox")),
    path("mailbox/", views.mailbox, name="mailbox"),
    re_path(r"^mailbox/(?P<name>[0-9]{19})/$", views.mail, name="mailbox_mail"),
    re_path(r"^mailbox/(?P<name>[0-9]{19})/html$", views.html, name="mailbox_html"),
    re_path(r"^mailbox/(?P<name>[0-9]{19})/raw$", views.raw, name="mailbox_raw"),
]
