"""allauth's adapters: a sign-in is one transaction, and no mail is sent while somebody waits for a page."""

from typing import Any, cast

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.providers.base import Provider
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse

from accounts import account_mails
from accounts.models import User
from accounts.untrusted import plain

CHANGES = {  # allauth's notifications, and what changed
    "account/email/password_changed": "password",
    "account/email/password_set": "password",
    "account/email/password_reset": "password",
    "account/email/email_changed": "address",
    "account/email/email_deleted": "address",
    "account/email/email_confirm": "address",
    "socialaccount/email/account_connected": "github_added",
    "socialaccount/email/account_disconnected": "github_removed",
}


class AccountAdapter(DefaultAccountAdapter):
    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """The session, the SignIn, the job and its message commit together, or none does."""
        with transaction.atomic():
            super().login(request, user)

    def send_confirmation_mail(self, request: HttpRequest, emailconfirmation: Any, signup: bool) -> None:
        """Asks for the mail that proves an address to be the person's."""
        address: EmailAddress = emailconfirmation.email_address
        account_mails.enqueue("confirm_address", address.email, cast(User, address.user))

    def send_password_reset_mail(self, user: AbstractBaseUser, email: str, context: dict[str, Any]) -> None:
        """Asks for the mail with the link; people without a password get it too, and have one afterwards."""
        account_mails.enqueue("password_reset", email, cast(User, user))

    def send_notification_mail(
        self,
        template_prefix: str,
        user: AbstractBaseUser,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        """Tells a person that their account was changed, at the address it had before where that is another."""
        told = email or (context or {}).get("from_email") or getattr(user, "email", "")
        if told and template_prefix in CHANGES:
            account_mails.enqueue("changed", told, cast(User, user), what=CHANGES[template_prefix])

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """Where one lands after a change of password."""
        return reverse("preferences")


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """GitHub's application is in the settings alone, so no table is asked for it."""

    def list_providers(self, request: HttpRequest) -> list[Provider]:
        """GitHub, when GITHUB_CLIENT_ID is set."""
        return super().list_providers(request) if settings.GITHUB_CLIENT_ID else []

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Refuses a person without a number: allauth would take all such people for one. Raises ValueError."""
        if not sociallogin.account.uid.isdecimal():
            raise ValueError("GitHub told no number for this person")

    def populate_user(self, request: HttpRequest, sociallogin: Any, data: dict[str, Any]) -> User:
        """The names of a new person as GitHub gives them, cleaned and cut to what our columns hold."""
        user: User = super().populate_user(request, sociallogin, data)
        user.first_name, user.last_name = plain(user.first_name, 150), plain(user.last_name, 150)
        return user

    def save_user(self, request: HttpRequest, sociallogin: Any, form: Any = None) -> User:
        """The person, their addresses and their GitHub account commit together, or none does."""
        with transaction.atomic():
            return cast(User, super().save_user(request, sociallogin, form))
