"""The link of "this wasn't me": signed, for one sign-in, seven days long, on one site."""

import uuid
from functools import cache

from django.conf import settings
from django.core import signing
from django.urls import reverse

from accounts.models import SignIn

SALT = "accounts.disputes"
VALID = 7 * 24 * 3600  # seconds


def link(sign_in_id: uuid.UUID | str) -> str:
    """The address of the page for this sign-in, as it stands in a mail: on SITE_URL, whoever asks."""
    return settings.SITE_URL.rstrip("/") + path(sign_in_id)


def path(sign_in_id: uuid.UUID | str) -> str:
    """The same within the site."""
    return f"{_page()}{signing.dumps(str(sign_in_id), salt=_salt())}/"


@cache
def _page() -> str:
    """The path of the page, up to the token."""
    return reverse("dispute", args=["token"]).removesuffix("token/")


def find(token: str) -> SignIn | None:
    """The sign-in that a link names; None for one that is not ours, has expired, or whose account is gone."""
    try:
        named = uuid.UUID(str(signing.loads(token, salt=_salt(), max_age=VALID)))
    except (signing.BadSignature, ValueError):
        return None
    return SignIn.objects.select_related("user").filter(pk=named).first()


def _salt() -> str:
    """A link is good on one site alone, even where two share a SECRET_KEY."""
    return f"{SALT}:{settings.SITE_URL}"
