"""The variants of the emails about an account, and of those to operators and to the support of other sites."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

from accounts.alerts.words import describe
from accounts.links import dispute_links
from accounts.mail import mime, rendering
from accounts.mail.brand import Brand
from accounts.mail.mime import Mail
from accounts.notices import account
from accounts.notices.sign_in import HARMLESS
from accounts.pending.request import RequestKind
from accounts.previews.variant import ADDRESS, AT, BEFORE, READER, Sites, Variant
from accounts.sign_in.event import AccountChange
from accounts.user import User
from jobs.alerts.channels import Alert
from jobs.alerts.rules import all_rules
from jobs.alerts.states import AlertNotice

DEVICE = "Chrome, Windows"
EVENT = {"at": AT, "device": DEVICE, "eventId": HARMLESS["signInId"], "mayUndo": True}
SIGN_INS: list[dict[str, Any]] = [
    {"at": AT, "device": DEVICE, "ip": ADDRESS, "newDevice": True, "signals": {"new_country": "KZ"}},
    {"at": AT, "device": "", "ip": "", "newDevice": False, "signals": {"long_absence": BEFORE, "after_failures": 3}},
]
DISPUTED = {"at": AT, "device": DEVICE, "account": "s***@example.com", **HARMLESS}


def variants() -> Iterator[Variant]:
    """Yield every kind of email about an account, each with all that it can say."""
    yield _variant("confirm_address")
    yield _variant("password_reset")
    yield _variant("lost_factor")
    yield from _changes()
    yield _variant("way_back.password", method="password")
    yield _variant("way_back.github", method="github")
    yield from _requests()
    yield from _summaries()
    yield _variant("dispute_alert", **DISPUTED)
    yield _variant("dispute_alert_digest", events=[DISPUTED, {**DISPUTED, "device": ""}])
    yield _variant("site_dispute.device", Sites.OTHERS, events=[DISPUTED])
    yield _variant("site_dispute.no-device", Sites.OTHERS, events=[{**DISPUTED, "device": ""}])
    yield _variant("site_dispute_digest", Sites.OTHERS, events=[DISPUTED, {**DISPUTED, "device": ""}])
    yield _variant("key_ends.rotated", Sites.OTHERS, at=AT, key="nk_31907124_…", newKey="nk_58120559_…")
    yield _variant("key_ends.not-rotated", Sites.OTHERS, at=AT, key="nk_31907124_…", newKey="")
    yield _variant("events_off", Sites.OTHERS, receiver="shop.example")
    yield from _alerts()


def _changes() -> Iterator[Variant]:
    for what in AccountChange.What.values:
        yield _variant(f"changed.{what}", **{**EVENT, "what": what})
    yield _variant("changed.no-undo", **{**EVENT, "what": "password", "mayUndo": False})
    yield _variant("changed.no-device", **{**EVENT, "what": "address_removed", "device": ""})
    events = [{**EVENT, "what": what, "mayUndo": what != "name"} for what in AccountChange.What.values]
    yield _variant("changed_digest", events=events)
    for kind in ("leaving", "leaving_digest"):
        yield _variant(kind, **{**EVENT, "what": "address_removed"})


def _requests() -> Iterator[Variant]:
    for what in RequestKind.values:
        for stage in ("asked", "reminder", "cancelled", "done"):
            request = {"what": what, "stage": stage, "at": AT}
            yield _variant(f"pending.{what}.{stage}", **request)
            if stage in ("asked", "reminder"):
                yield _variant(f"pending.{what}.{stage}.may-cancel", **request, mayCancel="yes")
                yield _variant(f"pending.{what}.{stage}.by-operator", **request, mayCancel="yes", operator="yes")


def _summaries() -> Iterator[Variant]:
    yield _variant("sign_in_digest.one", Sites.ALL, events=SIGN_INS[:1])
    yield _variant("sign_in_digest.several", Sites.ALL, events=SIGN_INS)


def _variant(name: str, sites: Sites = Sites.OWN, /, **more: Any) -> Variant:
    return Variant(name.replace("_", "-"), partial(_build, name.partition(".")[0], more), sites)


def _build(kind: str, more: dict[str, Any], language: str, brand: Brand) -> Mail:
    site = {} if brand.own else {"site": brand.stored}
    payload = {"kind": kind, "email": READER, "userId": "", "locale": language, **more, **site}
    person = User(username="saraa", email=READER) if brand.own else None
    words = account.render_mail(payload, person, _url(kind, brand))
    return mime.Mail("preview", READER, language, *words, kind=kind.replace("_", "-"), brand=brand)


def _url(kind: str, brand: Brand) -> str:
    """Return a link of the form that the email has; its token belongs to no event."""
    if kind in ("site_dispute", "site_dispute_digest"):
        return ""
    return dispute_links.dispute_link(HARMLESS["signInId"], READER, brand.link_base)


def _alerts() -> Iterator[Variant]:
    """Yield the alerts to operators: each rule when it fires, one that goes on, one that is over, and the test."""
    for rule in all_rules():
        yield _alert(f"alert.{rule.name}", rule.name, AlertNotice.FIRING)
    first = all_rules()[0].name
    yield _alert("alert.reminder", first, AlertNotice.REMINDER, "shop")
    yield _alert("alert.cleared", first, AlertNotice.CLEARED)
    yield _alert("alert.test", "", AlertNotice.FIRING)


def _alert(name: str, rule: str, notice: AlertNotice, subject: str = "") -> Variant:
    return Variant(name, partial(_build_alert, rule, notice, subject), Sites.OWN)


def _build_alert(rule: str, notice: AlertNotice, subject: str, language: str, _brand: Brand) -> Mail:
    at = datetime.fromisoformat(AT)
    found = next((known for known in all_rules() if known.name == rule), None)
    values = describe(Alert(found, notice, at, at, subject), language)
    return mime.Mail(
        "preview", READER, language, *rendering.render_account_content("alert", language, values), kind="alert"
    )
