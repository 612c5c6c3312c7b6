"""The link "This wasn't me": signed, for one event and one address, valid for seven days, on one site.

An event is a sign-in or a change of an account. The address is named by a keyed hash, so that no URL shows it; a link
without one acts for the address that the account had at the sign-in.
"""

import uuid
from collections.abc import Mapping
from functools import cache
from typing import Any

from django.conf import settings
from django.core import signing

from accounts.links.paths import path_of
from accounts.secrecy.hashes import keyed_hashes

DISPUTE_SALT = "accounts.sign_in.disputes"
UNDO_DAYS = 7  # for which a dispute can undo what happened, and its link is valid
LINK_SECONDS = UNDO_DAYS * 24 * 3600
HASH_LENGTH = 32


def dispute_link(event_id: uuid.UUID | str, address: str = "", base: str = "") -> str:
    """Return the URL of the dispute page of this event, for that address, on `base`, by default SITE_URL."""
    return (base or settings.SITE_URL.rstrip("/")) + dispute_path(event_id, address)


def dispute_path(event_id: uuid.UUID | str, address: str = "") -> str:
    """Return the path of the dispute page of this event, for that address."""
    named = f"{event_id}:{hash_address(event_id, address)}" if address else str(event_id)
    return f"{_page()}{signing.dumps(named, salt=_salt())}/"


def hash_address(event_id: uuid.UUID | str, address: str) -> str:
    """Return what names an address in the links of an event."""
    return _hashes(event_id, address)[0]


def names_address(hashed: str, event_id: uuid.UUID | str, address: str) -> bool:
    """Return whether a link of an event, signed with the present key or a former one, names this address."""
    return hashed in _hashes(event_id, address)


def _hashes(event_id: uuid.UUID | str, address: str) -> list[str]:
    return [digest.hex()[:HASH_LENGTH] for digest in keyed_hashes(DISPUTE_SALT, f"{event_id}:{address.lower()}")]


def event_link(event: Mapping[str, Any], address: str) -> str:
    """Return the URL for a change in an email's payload; "" when its recipient may not dispute it."""
    return dispute_link(event["eventId"], address) if event.get("eventId") and event.get("mayUndo") else ""


@cache
def _page() -> str:
    """Return the path of the page, up to the token."""
    return path_of("dispute", "token").removesuffix("token/")


def read_token(token: str, *, expired: bool = False) -> tuple[uuid.UUID, str] | None:
    """Return the event that a link names, and the hash of its address or "".

    Return None for a link with a wrong signature, and for an expired one unless `expired` accepts it.
    """
    try:
        longest = None if expired else LINK_SECONDS
        event, _colon, hashed = str(signing.loads(token, salt=_salt(), max_age=longest)).partition(":")
        return uuid.UUID(event), hashed
    except (signing.BadSignature, ValueError):
        return None


def _salt() -> str:
    """Return this site's salt: sites with one SECRET_KEY refuse each other's links."""
    return f"{DISPUTE_SALT}:{settings.SITE_URL}"
