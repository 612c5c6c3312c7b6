"""Which devices of a person are known: by a cookie first, then by families; never by an address.

The cookie is signed and http-only. It names the Device row and carries a fragment of the password's hash, so it
ends with a password change, with `forget`, and with the row.
"""

import structlog
from django.conf import settings
from django.core import signing
from django.db import Error, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.models import Device, SignIn, User

log = structlog.get_logger("accounts")

COOKIE = "known_device"
ATTRIBUTE = "known_device"  # of a request: the Device its sign-in was made from
SALT = "accounts.known_devices"
LASTS = 365 * 24 * 3600  # seconds
ACCOUNTS = 5  # on one browser, at most; the oldest goes
# As it stands, because a person waits for it: building it with the ORM took longer than all the rest of it.
REMEMBER = """
INSERT INTO accounts_device (user_id, browser, system, first_at, last_at) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (user_id, browser, system) DO UPDATE SET last_at = excluded.last_at RETURNING id
"""


def remember(sign_in: SignIn) -> Device | None:
    """Writes the device of a sign-in down, or that it was seen again; None when the database refuses.

    A device that is not remembered costs its owner one alert too many, so nothing else depends on it.
    """
    device = Device(user=sign_in.user, browser=sign_in.browser, system=sign_in.system)
    at = connection.ops.adapt_datetimefield_value(timezone.now())
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(REMEMBER, [device.user_id, device.browser, device.system, at, at])
            device.pk = cursor.fetchone()[0]
            return device
    except Error:
        log.exception("device could not be remembered", sign_in=str(sign_in.pk))
        return None


def set_cookie(request: HttpRequest, response: HttpResponse, device: Device) -> None:
    """Lets this browser be recognised at its next sign-in; keeps what it holds for other accounts."""
    held = {key: value for key, value in _read(request).items() if key != str(device.user_id)}
    held = dict(list(held.items())[-(ACCOUNTS - 1) :])
    held[str(device.user_id)] = [device.pk, _fragment(device.user)]
    response.set_cookie(
        COOKIE,
        signing.dumps(held, salt=SALT),
        max_age=LASTS,
        httponly=True,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )


def named(user: User, request: HttpRequest | None) -> int | None:
    """The device that the cookie names for this person, if the cookie still holds; the row may be gone."""
    entry = _read(request).get(str(user.pk)) if request else None
    match entry:
        case [int(pk), str(fragment)] if fragment == _fragment(user):
            return pk
    return None


def _read(request: HttpRequest) -> dict[str, object]:
    try:
        held = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=LASTS)
    except signing.BadSignature:
        return {}
    return held if isinstance(held, dict) else {}


def _fragment(user: User) -> str:
    return salted_hmac(SALT, user.password).hexdigest()[:16]
