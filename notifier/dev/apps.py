from django.apps import AppConfig


class DevConfig(AppConfig):
    """What only DEBUG has: the local SMTP catcher and its pages, the demo accounts, `manage.py run`."""

    name = "notifier.dev"
    label = "dev"
