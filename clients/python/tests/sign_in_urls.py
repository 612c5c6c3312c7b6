"""The small project with a page to sign in."""

from django.contrib.auth import authenticate, login
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django_urls import whoami


@csrf_exempt
def sign_in(request):
    user = authenticate(request, username=request.POST["username"], password=request.POST["password"])
    login(request, user)
    return HttpResponse("ok")


urlpatterns = [path("whoami/", whoami), path("sign-in/", sign_in)]
