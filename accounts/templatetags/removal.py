"""`{% removal %}`: what removing an address in this session means, and how to prove it now."""

from typing import Any

from django import template

from accounts import credentials
from accounts.changes import proof
from accounts.user import User

register = template.Library()


@register.inclusion_tag("accounts/removal.html", takes_context=True)
def removal(context: dict[str, Any]) -> dict[str, Any]:
    """Return whether a removal would be final, and what the user could prove it with."""
    user = context["request"].user
    known = isinstance(user, User)
    return {
        "is_final": known and proof.removal_will_be_final(context["request"], user),
        "has_factor": known and credentials.has_factor(user),
    }
