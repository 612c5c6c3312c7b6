"""django-q2's own tables stay out of the admin: they are the courier's, and a message deleted there is a lost one."""

from importlib import import_module

from django.apps import apps
from django.contrib import admin

import_module("django_q.admin")  # registers them, once; `autodiscover` would come after us
for model in apps.get_app_config("django_q").get_models():
    if admin.site.is_registered(model):
        admin.site.unregister(model)
