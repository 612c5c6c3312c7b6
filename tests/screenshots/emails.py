"""Every email of the site, and those of another site, as HTML by name and language."""

from collections.abc import Iterator

from accounts.mail.rendering import render_account_content, render_payload
from accounts.notices.account import LINKS
from accounts.sites.admin import preview
from accounts.sites.site import Site
from tests.support.mail import EVENT, PAYLOAD, account_email

ALERT = {"newDevice": True, "signals": {"after_failures": 3}, "moreSignIns": 2}


def all_emails(language: str, shop: Site) -> Iterator[tuple[str, str]]:
    """Yield the name and the HTML of each email in a language."""
    payload = {**PAYLOAD, "locale": language}
    yield "sign-in", render_payload(payload, language)[2]
    yield "sign-in-new-device", render_payload({**payload, **ALERT}, language)[2]
    yield "sign-in-long", render_payload({**payload, **ALERT, "name": "Ө" * 60, "browser": "X" * 40}, language)[2]
    yield "sign-in-empty", render_payload({"locale": language, "email": PAYLOAD["email"]}, language)[2]
    for kind in preview.Kind.values:
        posted = {**preview.payload_of(shop, kind), "locale": language}
        yield f"other-site-{kind}", render_payload(posted, language)[2]
    for kind in LINKS:
        yield kind.replace("_", "-"), account_email(kind, language)[2]
    values = {"name": "bat", "url": EVENT["undo_url"], "what": "delete", "events": [EVENT]}
    yield "other-site-dispute", render_account_content("site_dispute", language, values, shop.brand)[2]
