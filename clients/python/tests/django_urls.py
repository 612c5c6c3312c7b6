"""The URLs of the small project: the events, and a page that names its user."""

from django.http import HttpResponse
from django.urls import include, path


def whoami(request):
    return HttpResponse(request.user.get_username() or "-")


urlpatterns = [path("whoami/", whoami), path("notifier/", include("notifier_client.django.urls"))]
