"""The address of the view that receives events."""

from django.urls import path

from notifier_client.django.views import receive_event

app_name = "notifier_client"
urlpatterns = [path("events/", receive_event, name="events")]
