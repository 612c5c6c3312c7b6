"""allauth's adapters: a sign-in is one transaction, and no email is sent while a user waits for a page."""

from typing import Any, cast

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.base import Provider
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import Http404, HttpRequest
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts import credentials
from accounts.changes import fresh, locking, recovery
from accounts.changes.connecting import raise_if_answered
from accounts.mail.sanitize import plain_text
from accounts.notices import account
from accounts.rights import reserved
from accounts.user import User, random_username

NOT_SENT = "confirmation_not_sent"  # attribute of a request


class AccountAdapter(DefaultAccountAdapter):
    """What allauth does with accounts here: one transaction, limits, emails as jobs."""

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """Commit the session, the SignIn, the job and its message together, or none of them.

        A check that was made before a dispute, a reset or a new password signs no user in.
        """
        user = cast(User, user)
        try:
            with locking.lock_account(user, epoch=fresh.epoch_of_check(request, user)):
                super().login(request, user)
        except locking.Stale:
            request.session.flush()
            raise ImmediateHttpResponse(redirect("account_login")) from None

    def get_email_verification_redirect_url(self, email_address: EmailAddress) -> str:
        """Return where a user goes after confirming an address: to a new password if nothing else signs in."""
        user = User.objects.get(pk=email_address.user_id)
        own = self.request.user.is_authenticated
        if own or user.has_usable_password() or SocialAccount.objects.filter(user=user).exists():
            return str(super().get_email_verification_redirect_url(email_address))
        return account.reset_path(user)

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Return where a user goes after a sign-in: after a recovery, to what was changed and held."""
        user = request.user
        if isinstance(user, User) and recovery.recovering_address(request, user):
            return reverse("account_changes")
        return str(super().get_login_redirect_url(request))

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, str]]:
        """Return how a user is asked again: for a factor if there is one, else for the password, else for GitHub."""
        methods: list[dict[str, str]] = super().get_reauthentication_methods(user)
        factors = [method for method in methods if method["id"] != "reauthenticate"]
        factors.sort(key=lambda method: method["id"] != "mfa_reauthenticate:webauthn")  # the first is asked for
        return factors or methods or fresh.methods_without_password(user)

    def generate_unique_username(self, txts: list[str | None], regex: str | None = None) -> str:
        """Return a random user name instead of one that allauth derives from names and addresses."""
        return random_username()

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """Return the user; None also for an inactive account, whose password the sign-in must not confirm.

        allauth tries a user name as an address too. With both it would hash the password once more for an address
        that has an account, and the time of the response would reveal that.
        """
        if credentials.get("username"):
            credentials.pop("email", None)
        user = super().authenticate(request, **credentials)
        return user if user is not None and user.is_active else None

    def send_confirmation_mail(self, request: HttpRequest, emailconfirmation: Any, signup: bool) -> None:
        """Enqueue the email that asks a user to confirm an address."""
        address: EmailAddress = emailconfirmation.email_address
        if not account.enqueue_mail("confirm_address", address.email, cast(User, address.user)):
            setattr(request, NOT_SENT, True)

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **more: Any
    ) -> None:
        """Show a message; when no confirmation was sent because of the limit, say so."""
        if message_template == "account/messages/email_confirmation_sent.txt" and getattr(request, NOT_SENT, False):
            text = _("No email was sent: there were many in the last hour. Use the link in the last one.")
            messages.warning(request, text)
        else:
            super().add_message(request, level, message_template, *args, **more)

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Confirm an address; not while it is leaving another account, whose owner may still need it.

        The first address of an account drops what others did in it before.
        """
        if reserved.is_leaving_another(email_address.user, email_address.email):
            failed = "account/messages/email_confirmation_failed.txt"
            self.add_message(request, messages.ERROR, failed, message_context={"email": email_address.email})
            return False
        return recovery.confirm_address(request, email_address, super().confirm_email)

    def send_password_reset_mail(self, user: AbstractBaseUser, email: str, context: dict[str, Any]) -> None:
        """Enqueue the email with a reset link, also for a user without a password, who has one afterwards."""
        if credentials.may_reset(cast(User, user), email):
            account.enqueue_mail("password_reset", email, cast(User, user))

    def send_notification_mail(
        self,
        template_prefix: str,
        user: AbstractBaseUser,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        """Send nothing: `accounts.changes.record` emails every change, with a link that undoes it."""

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """Return the page that follows a change of password."""
        return reverse("security")


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """allauth's adapter for GitHub, whose application is in the settings, not in a table."""

    def list_providers(self, request: HttpRequest) -> list[Provider]:
        """Return GitHub, when GITHUB_CLIENT_ID is set."""
        return super().list_providers(request) if settings.GITHUB_CLIENT_ID else []

    def get_app(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Any:
        """Return GitHub's application. Raise Http404 when GITHUB_CLIENT_ID is not set."""
        if not settings.GITHUB_CLIENT_ID:
            raise Http404("sign-in with GitHub is turned off")
        return super().get_app(request, provider, client_id)

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Raise ValueError for a GitHub account without an id: allauth would treat all of them as one user."""
        if not sociallogin.account.uid.isdecimal():
            raise ValueError("GitHub sent no number for this user")
        for address in sociallogin.email_addresses:
            address.verified = address.verified and not reserved.is_leaving_another(sociallogin.user, address.email)
        user = request.user
        if isinstance(user, User):
            raise_if_answered(request, user, sociallogin)

    def populate_user(self, request: HttpRequest, sociallogin: Any, data: dict[str, Any]) -> User:
        """Return the names that GitHub gives for a new user, cleaned and cut to the length of our columns."""
        user: User = super().populate_user(request, sociallogin, data)
        user.first_name, user.last_name = plain_text(user.first_name, 150), plain_text(user.last_name, 150)
        user.username = random_username()
        return user

    def save_user(self, request: HttpRequest, sociallogin: Any, form: Any = None) -> User:
        """Commit the user, the addresses and the GitHub account together, or none of them."""
        with transaction.atomic():
            return cast(User, super().save_user(request, sociallogin, form))
