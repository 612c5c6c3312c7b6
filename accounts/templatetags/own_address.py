"""`{% address_trouble %}`: the banner on a user's pages when emails to the user's address bounce."""

from typing import Any

from django import template

from accounts.suppression import own_address
from accounts.user import User

register = template.Library()


@register.inclusion_tag("accounts/address_trouble.html", takes_context=True)
def address_trouble(context: dict[str, Any]) -> dict[str, Any]:
    """Return the banner's context; `trouble` is None without a problem."""
    request = context["request"]
    user = request.user
    trouble = own_address.address_problem(user) if isinstance(user, User) else None
    passed = {name: context.get(name) for name in ("SUPPORT_EMAIL", "csrf_token")}
    return {"trouble": trouble, "user": user, **passed}
