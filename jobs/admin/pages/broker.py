"""Removes django-q2's tables from the admin: they belong to the broker, and a message deleted there is lost."""

from importlib import import_module

from django.apps import apps
from django.contrib import admin

import_module("django_q.admin")  # registers them now, before `autodiscover` does
for model in apps.get_app_config("django_q").get_models():
    if admin.site.is_registered(model):
        admin.site.unregister(model)
