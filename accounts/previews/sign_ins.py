"""The variants of the notice of a sign-in."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from django.utils.translation import override

from accounts.mail import content, geoip
from accounts.mail.brand import Brand
from accounts.mail.mime import Mail
from accounts.notices.sign_in import HARMLESS, SignInNotice, build_mail
from accounts.previews.variant import ADDRESS, AT, BEFORE, READER, Sites, Variant

METHODS = {
    "password": "password",
    "admin": "admin",
    "github": "github",
    "link": "email",
    "passkey": "passkey",
    "provider": "google",
    "unknown": "Example ID",
    "none": "",
}
SIGNALS: dict[str, dict[str, str | int]] = {
    "new-country": {"new_country": "KZ"},
    "after-failures": {"after_failures": 3},
    "after-failure": {"after_failures": 1},
    "long-absence": {"long_absence": BEFORE},
    "two-countries": {"two_countries": "MN"},
}
EVERY_SIGNAL: dict[str, str | int] = {name: detail for signal in SIGNALS.values() for name, detail in signal.items()}


def variants() -> Iterator[Variant]:
    """Yield the routine notices, those of new devices, and those of unusual sign-ins."""
    for name, provider in METHODS.items():
        yield _variant(f"sign-in.routine.{name}", provider=provider)
    for factor in ("code", "passkey", "recovery_code"):
        yield _variant(f"sign-in.routine.factor-{factor.replace('_', '-')}", Sites.OWN, second_factor=factor)
    yield _variant("sign-in.routine.more", more_sign_ins=4)
    yield _variant("sign-in.routine.one-more", more_sign_ins=1)
    yield _variant("sign-in.routine.little-known", name="", ip_address="", browser="", system="", provider="")
    yield _variant("sign-in.routine.no-button", sign_in_id="")
    for name in ("password", "github", "passkey"):
        yield _variant(f"sign-in.new-device.{name}", provider=METHODS[name], new_device=True)
    yield _variant("sign-in.new-device.no-button", new_device=True, sign_in_id="")
    yield _variant("sign-in.new-device.every-signal", new_device=True, signals=EVERY_SIGNAL, more_sign_ins=4)
    for name, signals in SIGNALS.items():
        yield _variant(f"sign-in.unusual.{name}", signals=signals)


def _variant(name: str, sites: Sites = Sites.ALL, /, **changes: Any) -> Variant:
    return Variant(name, partial(_build, changes), sites)


def _build(changes: dict[str, Any], language: str, brand: Brand) -> Mail:
    values: dict[str, Any] = {
        "user_id": HARMLESS["userId"],
        "email": READER,
        "name": "Сараа",
        "provider": "password",
        "ip_address": ADDRESS,
        "browser": "Chrome",
        "system": "Windows",
        "timestamp": AT,
        "locale": language,
        "timezone": "Asia/Ulaanbaatar",
        "sign_in_id": HARMLESS["signInId"],
        **changes,
    }
    payload = SignInNotice(**values, brand=None if brand.own else brand).payload()
    return build_mail("preview", READER, _in_a_country(content.write_content(payload)))


def _in_a_country(written: content.Content) -> content.Content:
    """Return the content with a country, also without the database that GEOIP_PATH names."""
    if "ip" not in written.values:
        return written
    with override(written.language):
        return replace(written, values={**written.values, "place": geoip.name_of_code("KZ")})
