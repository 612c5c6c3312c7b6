"""The Django app of development tools, installed only with DEBUG."""

from django.apps import AppConfig


class DevConfig(AppConfig):
    """The local mail catcher, its pages, and the demo accounts."""

    name = "notifier.dev"
    label = "dev"
