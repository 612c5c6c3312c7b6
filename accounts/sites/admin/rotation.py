"""The operators' page that rotates an API key: it creates the successor, and sets the end of the old key."""

from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.sites.admin.fields import EndField
from accounts.sites.keys import LONGEST_OVERLAP, OVERLAP, ApiKey, Scope
from accounts.user import User

OVERLAPS = (1, 7, 30, LONGEST_OVERLAP.days)  # days to choose from
ADMIN_PERMISSIONS = ("jobs.view_joblog", "jobs.replay_joblog", "jobs.discard_joblog")  # what the scope admin allows
PERMISSIONS = ("accounts.add_apikey", "accounts.revoke_apikey")


def may_rotate(request: HttpRequest, key: ApiKey) -> bool:
    """Return whether the operator may rotate this key: no operator makes a key that may do more than the operator."""
    more = ADMIN_PERMISSIONS if Scope.ADMIN in key.scopes else ()
    return request.user.has_perms((*PERMISSIONS, *more))


def require_rotation(request: HttpRequest, key: ApiKey) -> None:
    """Raise PermissionDenied (403) unless the operator may rotate this key."""
    if not may_rotate(request, key):
        raise PermissionDenied


class RotationForm(forms.Form):
    """When the old key ends, and when the new one does."""

    days = forms.TypedChoiceField(
        label=_("The old key stays valid for"),
        coerce=int,
        widget=forms.RadioSelect,
        help_text=_(
            "Both keys work until then. If the old key is still in use two days before, its site's support is emailed."
        ),
    )
    expires_at = EndField(help_text=_("Leave it empty for a key that never expires."))

    def __init__(self, key: ApiKey, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.key = key
        choices = [(days, ngettext("%(days)d day", "%(days)d days", days) % {"days": days}) for days in OVERLAPS]
        self.fields["days"].choices = choices  # type: ignore[attr-defined]
        self.fields["days"].initial = OVERLAP.days
        self.fields["expires_at"].label = _("The new key expires")
        self.fields["expires_at"].initial = next_end(key)

    def rotate(self, user: User) -> str | None:
        """Rotate the key; return the token of the new one. None when it cannot be rotated: the form says why."""
        ends_at = timezone.now() + timedelta(days=self.cleaned_data["days"])
        expires_at = self.cleaned_data["expires_at"]
        try:
            return self.key.rotate(who=user.get_username(), ends_at=ends_at, expires_at=expires_at, made_by=user)
        except ValidationError as wrong:
            self.add_error(None, wrong)
            return None


def next_end(key: ApiKey) -> Any:
    """Return when the successor of a key expires by default: after as long a time as the key had; None for never."""
    return key.expires_at and timezone.now() + (key.expires_at - key.created_at)
