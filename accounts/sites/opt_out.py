"""The link that turns the routine notices of another site's user off, and on again."""

from uuid import UUID

from accounts.links.address_links import UNSUBSCRIBE_SITE
from accounts.sign_in.event import SignIn
from accounts.suppression.opt_out import RoutineOptOut


def find_sign_in(token: str) -> SignIn | None:
    """Return the sign-in whose notice had this link; None for a forged link, or when its data was deleted."""
    target = UNSUBSCRIBE_SITE.read(token)
    if target is None:
        return None
    found = SignIn.objects.select_related("site").filter(pk=UUID(int=target.number), site__isnull=False).first()
    return found if found and target.find_address([found.email]) else None


def is_off(sign_in: SignIn) -> bool:
    """Return whether the user of a sign-in gets no routine notices."""
    return RoutineOptOut.objects.filter(site=sign_in.site, user_key=sign_in.user_key).exists()


def turn_off(sign_in: SignIn) -> None:
    """Turn the routine notices of the user off."""
    RoutineOptOut.objects.get_or_create(site=sign_in.site, user_key=sign_in.user_key)


def turn_on(sign_in: SignIn) -> None:
    """Turn the routine notices of the user on again."""
    RoutineOptOut.objects.filter(site=sign_in.site, user_key=sign_in.user_key).delete()
