"""The GitHub accounts of an account in the history: connected, disconnected, held and restored."""

from typing import Any

from allauth.socialaccount.models import SocialAccount

from accounts.credentials import factors
from accounts.credentials.history import Credential
from accounts.user import User

GITHUB = "github"


def register_github() -> None:
    """Register how a GitHub account is held and restored."""
    factors.register_factor(Credential.Kind.GITHUB, hold=_hold, restore=_restore)


def account_saved(instance: SocialAccount, created: bool, **_: Any) -> None:
    """Record that a GitHub account was connected. Receiver of SocialAccount's post_save."""
    if created and instance.provider == GITHUB:
        factors.factor_added(instance.user, Credential.Kind.GITHUB, instance.uid)


def account_deleted(instance: SocialAccount, **_: Any) -> None:
    """Record that a GitHub account was disconnected. Receiver of SocialAccount's post_delete."""
    user = User.objects.filter(pk=instance.user_id).first()
    if user is not None and instance.provider == GITHUB:
        factors.factor_removed(user, Credential.Kind.GITHUB, instance.uid, _seal(instance))


def adopt_accounts(user: User) -> None:
    """Add the connected GitHub accounts that are older than the history to it."""
    for one in SocialAccount.objects.filter(user=user, provider=GITHUB):
        known = Credential.objects.for_factor(user.pk, Credential.Kind.GITHUB, one.uid)
        if not known.filter(state=Credential.State.CURRENT).exists():
            Credential.objects.create(user=user, kind=Credential.Kind.GITHUB, reference=one.uid, since=one.date_joined)


def _seal(account: SocialAccount) -> dict[str, Any]:
    return {"extra_data": account.extra_data, "date_joined": account.date_joined.isoformat()}


def _hold(user: User, reference: str) -> dict[str, Any]:
    account = SocialAccount.objects.filter(user=user, provider=GITHUB, uid=reference).first()
    if account is None:
        return {}
    sealed = _seal(account)
    account.delete()
    return sealed


def _restore(user: User, reference: str, sealed: dict[str, Any]) -> bool:
    """Connect the GitHub account again, unless another account has connected it meanwhile."""
    connected = SocialAccount.objects.filter(provider=GITHUB, uid=reference).first()
    if connected is not None:
        return connected.user_id == user.pk
    account = SocialAccount.objects.create(
        user=user, provider=GITHUB, uid=reference, extra_data=sealed.get("extra_data", {})
    )
    if sealed.get("date_joined"):
        SocialAccount.objects.filter(pk=account.pk).update(date_joined=sealed["date_joined"])
    return True
