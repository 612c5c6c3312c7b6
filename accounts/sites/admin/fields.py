"""A form field for the time at which a key ends."""

from datetime import datetime
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class EndField(forms.DateTimeField):
    """A time in the future, or none."""

    def __init__(self, **options: Any) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        super().__init__(**{"label": _("Expires"), "required": False, "widget": widget, **options})

    def clean(self, value: Any) -> datetime | None:
        """Return the time; None for an empty field. Raise ValidationError for a past one."""
        end: datetime | None = super().clean(value)
        if end and end <= timezone.now():
            raise forms.ValidationError(_("This time is in the past."))
        return end
