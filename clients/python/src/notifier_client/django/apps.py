"""The app of INSTALLED_APPS."""

from django.apps import AppConfig


class NotifierClientConfig(AppConfig):
    """Connects the receiver and the system checks."""

    name = "notifier_client.django"
    label = "notifier_client"
    verbose_name = "Notifier client"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from notifier_client.django import checks, receivers

        checks.register_checks()
        receivers.connect()
