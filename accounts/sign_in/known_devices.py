"""The known devices of a user. A browser is recognised by its cookie, which holds a secret of the device's own.

The cookie is signed and http-only. The database has only the hash of the secret, so no row can be turned into a cookie.
The cookie ends when the user forgets the device, after a dispute, and with the row; a change of password does not end
it. Without the cookie, families of browser and system count only at a place where the user has been (risk.py), and
never vouch for anything.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.core import signing
from django.db import connection, models
from django.db.models import Max
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from accounts.credentials import UNDO_DAYS
from accounts.mail import user_agents
from accounts.secrecy.hashes import keyed_hashes
from accounts.sign_in.event import NULL
from accounts.user import User
from jobs.core import sql

DEVICE_COOKIE = settings.DEVICE_COOKIE_NAME
DEVICE_ATTRIBUTE = "known_device"  # of a request: the Device of its sign-in
DEVICE_SALT = "accounts.sign_in.known_devices"
COOKIE_SECONDS = 365 * 24 * 3600
VOUCHES_AFTER = timedelta(days=UNDO_DAYS)  # a browser must be known for as long as a removal can be undone
MAX_ACCOUNTS = 5  # in one browser; the oldest is dropped
SECRET_BYTES = 18
# Raw SQL, because a user waits for it: building it with the ORM took longer than everything else here.
INSERT_DEVICE = """
INSERT INTO accounts_device (user_id, browser, system, secret, first_of_account, first_at, last_at)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
UPSERT_DEVICE = """
INSERT INTO accounts_device (site_id, user_key, secret, browser, system, first_of_account, first_at, last_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (site_id, user_key, secret, browser, system) WHERE site_id IS NOT NULL
DO UPDATE SET last_at = excluded.last_at
"""
UPDATE_DEVICE = "UPDATE accounts_device SET last_at = %s WHERE id = %s"


class Device(models.Model):
    """A browser from which a user has signed in.

    It holds the families of browser and system only, no version and no IP address.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="devices", verbose_name=_("account"), **NULL)
    site = models.ForeignKey(
        "accounts.Site", models.CASCADE, db_index=False, related_name="+", verbose_name=_("site"), **NULL
    )
    """The other site whose user it belongs to; None for this one."""
    user_key = models.CharField(_("user of the site"), max_length=128, blank=True, default="", db_default="")
    browser = models.CharField(_("browser"), max_length=64, blank=True)
    system = models.CharField(_("system"), max_length=64, blank=True)
    secret = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    """The hash of the secret in its cookie; "" for a device that was remembered before there were secrets."""
    first_of_account = models.BooleanField(default=False, db_default=False, editable=False)
    """Whether the account's first sign-in was from it."""
    first_at = models.DateTimeField(_("first sign-in"), db_default=Now())
    last_at = models.DateTimeField(_("last sign-in"), db_default=Now())

    cookie = ""  # the secret itself, for its cookie; not stored

    class Meta:
        verbose_name = _("known device")
        verbose_name_plural = _("known devices")
        ordering = ["-last_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "secret"], condition=~models.Q(secret=""), name="one_device_a_secret"
            ),
            models.UniqueConstraint(
                fields=["site", "user_key", "secret", "browser", "system"],
                condition=models.Q(site__isnull=False),
                name="one_device_of_a_site",
            ),
        ]
        indexes = [models.Index(fields=["user", "browser", "system"], name="device_families")]

    def __str__(self) -> str:
        return user_agents.device_name(self.browser, self.system)

    def vouches(self, now: datetime) -> bool:
        """Return whether the device is the account's first, or known for VOUCHES_AFTER."""
        return self.first_of_account or self.first_at <= now - VOUCHES_AFTER


def make_device(user: User, browser: str, system: str, *, first_of_account: bool) -> Device:
    """Return a device that is not stored yet, with a secret of its own."""
    cookie = secrets.token_urlsafe(SECRET_BYTES)
    device = Device(
        user=user, browser=browser, system=system, secret=hash_secret(cookie), first_of_account=first_of_account
    )
    device.cookie = cookie
    return device


def remember_device(device: Device, at: datetime) -> None:
    """Store a sign-in from a device at a time."""
    stored = connection.ops.adapt_datetimefield_value(at)
    if device.pk:
        sql.execute(UPDATE_DEVICE, [stored, device.pk])
        return
    families = [device.user_id, device.browser, device.system]
    sql.execute(INSERT_DEVICE, [*families, device.secret, device.first_of_account, stored, stored])


def remember_site_device(device: Device, at: datetime) -> None:
    """Store a sign-in of another site's user from a device at a time."""
    stored = connection.ops.adapt_datetimefield_value(at)
    named = [device.site_id, device.user_key, device.secret, device.browser, device.system]
    sql.execute(UPSERT_DEVICE, [*named, device.first_of_account, stored, stored])


def forget_devices(device: Device) -> None:
    """Forget a device and all others of its user that look the same: the user cannot tell them apart."""
    Device.objects.filter(user_id=device.user.pk, browser=device.browser, system=device.system).delete()


def list_devices(user: User) -> list[Device]:
    """Return the known devices of a user, the last used first; one of those that look the same.

    A stranger who knows the password can add as many as there are sign-ins, and few looks: the database groups them.
    """
    looks = user.devices.order_by().values_list("browser", "system").annotate(one=Max("pk"), seen=Max("last_at"))
    return [
        Device(pk=one, user=user, browser=browser, system=system, last_at=seen)
        for browser, system, one, seen in looks.order_by("-seen")
    ]


def set_cookie(request: HttpRequest, response: HttpResponse, device: Device) -> None:
    """Set the cookie that identifies this browser at its next sign-in.

    Keep its entries of other accounts.
    """
    entries = {key: value for key, value in _read(request).items() if key != str(device.user_id)}
    entries = dict(list(entries.items())[-(MAX_ACCOUNTS - 1) :])
    entries[str(device.user_id)] = device.cookie
    response.set_cookie(
        DEVICE_COOKIE,
        signing.dumps(entries, salt=DEVICE_SALT),
        max_age=COOKIE_SECONDS,
        httponly=True,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )


def read_secret(user: User, request: HttpRequest | None) -> str:
    """Return the secret that the browser's cookie holds for this user; "" without one.

    Its device may be forgotten.
    """
    secret = _read(request).get(str(user.pk)) if request else None
    return secret if isinstance(secret, str) else ""


def hash_secret(secret: str) -> str:
    """Return the hash of a secret that is stored; "" of none."""
    return hashlib.sha256(secret.encode()).hexdigest() if secret else ""


def hash_device_id(site: int, user_key: str, device_id: str) -> list[str]:
    """Return the hashes of the id that a site gave a device: with SECRET_KEY first, then with each of its fallbacks.

    [""] for no id. Another user, and another site, has another hash of the same id.
    """
    if not device_id:
        return [""]
    return [digest.hex() for digest in keyed_hashes(DEVICE_SALT, f"{site}\0{user_key}\0{device_id}")]


def find_device(user: User, request: HttpRequest) -> Device | None:
    """Return the device that the browser's cookie names for this user; None without one, or when it is forgotten."""
    secret = read_secret(user, request)
    return user.devices.filter(secret=hash_secret(secret)).first() if secret else None


def _read(request: HttpRequest) -> dict[str, object]:
    try:
        entries = signing.loads(request.COOKIES.get(DEVICE_COOKIE, ""), salt=DEVICE_SALT, max_age=COOKIE_SECONDS)
    except signing.BadSignature:
        return {}
    return entries if isinstance(entries, dict) else {}
