"""Forms of the pages about a user's rights."""

from typing import Any

from allauth.core import context
from django import forms
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm
from django.db import transaction
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from accounts.changes import record
from accounts.credentials import Credential
from accounts.mail import dates
from accounts.rights.restore import former_addresses
from accounts.user import User


class ExportForm(forms.Form):
    """What the file contains."""

    other_sites = forms.BooleanField(
        label=_("Include emails that other sites sent to my confirmed addresses"), required=False
    )


class AddressForm(forms.Form):
    """Names an account by its address."""

    email = forms.EmailField(
        label=_("Email address"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )


class OperatorForm(forms.Form):
    """Why an operator acts on an account; the audit keeps it."""

    reason = forms.CharField(
        label=_("Reason (kept in the audit)"),
        max_length=200,
        help_text=_("How did you check the identity of the person who asks? Write no personal data."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class OperatorExportForm(OperatorForm):
    """What an operator exports."""

    other_sites = forms.BooleanField(
        label=_("Include emails that other sites sent to the account's confirmed addresses"), required=False
    )


class RestoreForm(OperatorForm):
    """Which address returns, and since when another person had the account."""

    former = forms.ModelChoiceField(queryset=Credential.objects.none(), label=_("Address that returns"))
    since = forms.DateTimeField(
        label=_("Taken over since"),
        help_text=_(
            "The address must be older. Addresses that were added later are switched off, and cannot stop this."
        ),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    field_order = ("former", "since", "reason")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["former"]
        field.queryset = former_addresses(user)  # type: ignore[attr-defined]
        field.label_from_instance = _describe_former  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Check that the address belonged to the account when the other person took it over."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        former, since = cleaned.get("former"), cleaned.get("since")
        if former and since and not former.since < since <= min(former.removed_at, timezone.now()):
            self.add_error("since", _("It must be after the address was confirmed, and not after it was removed."))
        return cleaned


class OperatorPasswordForm(AdminPasswordChangeForm):
    """An operator's new password for an account, which is emailed like one that the user sets."""

    user: User
    usable_password_help_text: Any = (
        format_lazy(  # Django's own has a list within a paragraph, and one sentence in English
            '{} <strong id="id_unusable_warning">{}</strong>',
            AdminUserCreationForm.usable_password_help_text,
            _("If it is turned off, the present password of this account is lost."),
        )
    )

    @transaction.atomic
    def save(self, commit: bool = True) -> User:
        super().save(commit)
        record.password_changed(context.request, self.user)
        return self.user


def _describe_former(former: Credential) -> str:
    """Return what an operator needs to choose: the address, its state, and from when until when it was confirmed."""
    start, end = (dates.format_minute(at) for at in (former.since, former.removed_at) if at)
    return f"{former.address} ({former.get_state_display()}; {start} - {end})"
