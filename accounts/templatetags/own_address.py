"""`{% address_trouble %}`: the banner on a person's pages when mails to their address come back."""

from typing import Any

from django import template

from accounts import own_address
from accounts.models import User

register = template.Library()


@register.inclusion_tag("accounts/address_trouble.html", takes_context=True)
def address_trouble(context: dict[str, Any]) -> dict[str, Any]:
    """The banner's context; without trouble it is empty."""
    request = context["request"]
    user = request.user
    trouble = own_address.trouble(user) if isinstance(user, User) else None
    passed = {name: context.get(name) for name in ("SUPPORT_EMAIL", "csrf_token")}
    return {"trouble": trouble, "user": user, **passed}
